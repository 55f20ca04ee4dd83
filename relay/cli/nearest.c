#include "relay/cli/nearest.h"

#include <string.h>

/* Insertions, deletions and changes that make one word of the other. */
static size_t
distance(const char *a, const char *b)
{
    size_t row[CLI_NEAREST_MAX + 1], len = strlen(b);

    for (size_t j = 0; j <= len; j++)
        row[j] = j;
    for (size_t i = 1; a[i - 1]; i++) {
        size_t corner = row[0];

        row[0] = i;
        for (size_t j = 1; j <= len; j++) {
            size_t above = row[j];
            size_t cost = corner + (a[i - 1] != b[j - 1]);

            if (above + 1 < cost)
                cost = above + 1;
            if (row[j - 1] + 1 < cost)
                cost = row[j - 1] + 1;
            row[j] = cost;
            corner = above;
        }
    }
    return row[len];
}

void
cli_nearest_init(struct cli_nearest *n, const char *word, size_t len)
{
    if (len > CLI_NEAREST_MAX)
        len = CLI_NEAREST_MAX;
    memcpy(n->word, word, len);
    n->word[len] = '\0';
    n->best[0] = '\0';
    n->distance = len / 2 < 3 ? len / 2 + 1 : 4;
}

void
cli_nearest_consider(struct cli_nearest *n, const char *known)
{
    size_t d;

    if (!known || strlen(known) > CLI_NEAREST_MAX)
        return;
    d = distance(n->word, known);
    if (d < n->distance) {
        n->distance = d;
        memcpy(n->best, known, strlen(known) + 1);
    }
}
