#include "relay/base/slice.h"

#include <strings.h>

bool
slice_is(struct slice s, const char *text)
{
    return s.len == strlen(text) &&
           (s.len == 0 || memcmp(s.p, text, s.len) == 0);
}

bool
slice_is_nocase(struct slice s, const char *text)
{
    return s.len == strlen(text) && slice_starts_nocase(s, text);
}

bool
slice_starts_nocase(struct slice s, const char *text)
{
    size_t len = strlen(text);

    return s.len >= len && (len == 0 || strncasecmp(s.p, text, len) == 0);
}

static bool
is_blank(char c)
{
    return c == ' ' || c == '\t';
}

struct slice
slice_trim(struct slice s)
{
    while (s.len > 0 && is_blank(s.p[0]))
        s.p++, s.len--;
    while (s.len > 0 && is_blank(s.p[s.len - 1]))
        s.len--;
    return s;
}

struct slice
slice_cut(struct slice *rest, char mark)
{
    const char *at = rest->len ? memchr(rest->p, mark, rest->len) : NULL;
    struct slice head = *rest;

    if (!at) {
        if (rest->len > 0)
            *rest = (struct slice){rest->p + rest->len, 0};
        return head;
    }
    head.len = (size_t)(at - rest->p);
    *rest = slice_from(*rest, head.len + 1);
    return head;
}

bool
slice_number(struct slice s, unsigned long long max, unsigned long long *out)
{
    unsigned long long value = 0;

    if (s.len == 0)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        unsigned digit = (unsigned)(s.p[i] - '0');

        if (s.p[i] < '0' || s.p[i] > '9' ||
            __builtin_mul_overflow(value, 10ULL, &value) ||
            __builtin_add_overflow(value, (unsigned long long)digit, &value) ||
            value > max)
            return false;
    }
    *out = value;
    return true;
}
