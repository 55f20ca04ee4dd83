#include "relay/base/id.h"

static const char digits[] = "0123456789abcdefghjkmnpqrstvwxyz";

enum {
    COUNT_BITS = 8,
    ID_BITS = 49,
    DIGITS = ID_TEXT_SIZE - 1,
};

static const int64_t epoch_ms = 1577836800000; /* 2020-01-01 */

const char *
id_text(uint64_t id, char out[ID_TEXT_SIZE])
{
    for (int i = DIGITS - 1; i >= 0; i--, id >>= 5)
        out[i] = digits[id & 31];
    out[DIGITS] = '\0';
    return out;
}

bool
id_parse(struct slice text, uint64_t *id)
{
    uint64_t value = 0;

    if (text.len != DIGITS)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        const char *digit = memchr(digits, text.p[i], sizeof(digits) - 1);

        if (!digit)
            return false;
        value = value << 5 | (uint64_t)(digit - digits);
    }
    if (value >> ID_BITS)
        return false;
    *id = value;
    return true;
}

uint64_t
id_next(struct id_source *s, int64_t unix_ms)
{
    uint64_t ms = unix_ms > epoch_ms ? (uint64_t)(unix_ms - epoch_ms) : 0;
    uint64_t last = __atomic_load_n(&s->last, __ATOMIC_RELAXED);
    uint64_t next;

    ms &= ((uint64_t)1 << (ID_BITS - COUNT_BITS)) - 1;
    /* A clock that stands or steps back must not give a number twice: then
     * the count runs on, into later milliseconds if it has to. */
    do {
        next = ms << COUNT_BITS;
        if (next <= last)
            next = last + 1;
    } while (!__atomic_compare_exchange_n(&s->last, &last, next, false,
                                          __ATOMIC_RELAXED, __ATOMIC_RELAXED));
    return next;
}

uint64_t
id_at(int64_t unix_ms)
{
    return unix_ms > epoch_ms ? (uint64_t)(unix_ms - epoch_ms) << COUNT_BITS
                              : 0;
}
