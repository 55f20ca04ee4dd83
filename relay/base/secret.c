#include "relay/base/secret.h"

#include "relay/base/own.h"

#include <stdlib.h>

/* How many octets `text` begins with that stand in a row in `secret`. */
static size_t
common(struct slice text, struct slice secret)
{
    size_t longest = 0;

    for (size_t at = 0; at < secret.len; at++) {
        size_t n = 0;

        while (n < text.len && at + n < secret.len &&
               text.p[n] == secret.p[at + n])
            n++;
        longest = n > longest ? n : longest;
    }
    return longest;
}

/* How many octets at the start of `text` must not be shown. */
static size_t
hidden(struct slice text, const struct slice *secrets, size_t count)
{
    size_t most = 0;

    for (size_t i = 0; i < count; i++) {
        size_t least =
            secrets[i].len < SECRET_PART ? secrets[i].len : SECRET_PART;
        size_t n = least > 0 ? common(text, secrets[i]) : 0;

        if (n >= least && n > most)
            most = n;
    }
    return most;
}

void
secret_scrub(struct slice text, const struct slice *secrets, size_t count,
             struct buf *out)
{
    for (size_t used = 0; text.len > 0 && used < SECRET_SCRUB_MAX;) {
        size_t n = hidden(text, secrets, count);

        if (n > 0)
            buf_add_text(out, "***");
        else
            buf_add_byte(out, text.p[0]);
        n = n ? n : 1;
        used += n;
        text = slice_from(text, n);
    }
}

void
secret_buf_free(struct buf *b)
{
    if (b->p)
        explicit_bzero(b->p, b->cap);
    buf_free(b);
}

void
secret_text_free(char **place)
{
    char *text = take(place);

    if (!text)
        return;
    explicit_bzero(text, strlen(text));
    free(text);
}
