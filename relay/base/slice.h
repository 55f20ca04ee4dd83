/*
 * relay/base/slice - a borrowed run of bytes.
 *
 * A slice owns nothing: it is good for as long as the memory it points into.
 * It travels by value and is not terminated by NUL.
 */
#ifndef RELAY_BASE_SLICE_H
#define RELAY_BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct slice {
    const char *p;
    size_t len;
};

static inline struct slice
slice_of(const char *text)
{
    return (struct slice){text, strlen(text)};
}

/* The part of s that starts at byte `from`; empty when s is shorter. */
static inline struct slice
slice_from(struct slice s, size_t from)
{
    return from < s.len ? (struct slice){s.p + from, s.len - from}
                        : (struct slice){s.p, 0};
}

/* The first `len` bytes of s, or all of it when it is shorter. */
static inline struct slice
slice_first(struct slice s, size_t len)
{
    return (struct slice){s.p, len < s.len ? len : s.len};
}

bool slice_is(struct slice s, const char *text);
bool slice_is_nocase(struct slice s, const char *text); /* ASCII only */
bool slice_starts_nocase(struct slice s, const char *text);
struct slice slice_trim(struct slice s); /* spaces and tabs at both ends */

/* Cuts at the first `mark`: returns what stands before it and moves `rest`
 * behind it.  Without a mark it returns everything and empties `rest`. */
struct slice slice_cut(struct slice *rest, char mark);

/* A decimal number without sign; false when s is anything else or larger
 * than `max`. */
bool slice_number(struct slice s, unsigned long long max,
                  unsigned long long *out);

#endif
