/* relay/cli/nearest - which known word was probably meant. */
#ifndef RELAY_CLI_NEAREST_H
#define RELAY_CLI_NEAREST_H

#include <stddef.h>

enum { CLI_NEAREST_MAX = 40 }; /* octets of a word that are compared */

struct cli_nearest {
    char word[CLI_NEAREST_MAX + 1];
    size_t distance;
    char best[CLI_NEAREST_MAX + 1]; /* "": nothing is near */
};

void cli_nearest_init(struct cli_nearest *n, const char *word, size_t len);
void cli_nearest_consider(struct cli_nearest *n,
                          const char *known); /* or NULL */

#endif
