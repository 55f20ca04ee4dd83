#include "relay/base/span.h"

#include <inttypes.h>
#include <stdio.h>

static const struct {
    const char *name;
    int64_t ms;
} units[] = {
    {"d", 24LL * 60 * 60 * 1000},
    {"h", 60LL * 60 * 1000},
    {"m", 60LL * 1000},
    {"s", 1000},
    {"ms", 1},
};

enum { UNITS = sizeof(units) / sizeof(units[0]) };

/* So that a span can be added to any date. */
static const int64_t span_max = 36500 * 24LL * 60 * 60 * 1000;

/* The characters from the start of `rest` that are digits, or that are not;
 * `rest` moves behind them. */
static struct slice
cut_run(struct slice *rest, bool of_digits)
{
    struct slice run;
    size_t n = 0;

    while (n < rest->len &&
           (rest->p[n] >= '0' && rest->p[n] <= '9') == of_digits)
        n++;
    run = slice_first(*rest, n);
    *rest = slice_from(*rest, n);
    return run;
}

static bool
malformed(struct err *err)
{
    return err_set(err, ERR_INPUT,
                   "a length of time is like 90s, 5m, 1h30m or 250ms");
}

bool
span_parse(struct slice text, int64_t *ms, struct err *err)
{
    int64_t sum = 0;
    size_t unit = 0;

    if (slice_is(text, "0")) {
        *ms = 0;
        return true;
    }
    if (text.len == 0)
        return malformed(err);
    while (text.len > 0) {
        struct slice digits = cut_run(&text, true);
        struct slice name = cut_run(&text, false);
        unsigned long long number;
        int64_t part;

        if (digits.len == 0)
            return malformed(err);
        if (name.len == 0)
            return err_set(err, ERR_INPUT,
                           "a length of time needs a unit: d, h, m, s or ms");
        /* Each unit once, the large ones first: else it is a slip. */
        while (unit < UNITS && !slice_is(name, units[unit].name))
            unit++;
        if (unit == UNITS)
            return malformed(err);
        if (!slice_number(digits, INT64_MAX, &number) ||
            __builtin_mul_overflow((int64_t)number, units[unit++].ms, &part) ||
            __builtin_add_overflow(sum, part, &sum) || sum > span_max)
            return err_set(err, ERR_LIMIT, "longer than a hundred years");
    }
    *ms = sum;
    return true;
}

const char *
span_text(int64_t ms, char out[SPAN_TEXT_SIZE])
{
    uint64_t left = ms < 0 ? 0 - (uint64_t)ms : (uint64_t)ms;
    size_t len = 0;

    (void)snprintf(out, SPAN_TEXT_SIZE, "0");
    if (ms < 0)
        out[len++] = '-';
    for (size_t i = 0; i < UNITS; i++) {
        uint64_t number = left / (uint64_t)units[i].ms;

        left %= (uint64_t)units[i].ms;
        if (number > 0)
            len += (size_t)snprintf(out + len, SPAN_TEXT_SIZE - len,
                                    "%" PRIu64 "%s", number, units[i].name);
    }
    return out;
}

static const char size_units[] = {'G', 'M', 'K'};

bool
span_parse_size(struct slice text, uint64_t *octets, struct err *err)
{
    struct slice digits = cut_run(&text, true);
    unsigned long long number;
    unsigned shift = 0;

    for (unsigned i = 0; text.len == 1 && i < sizeof(size_units); i++)
        if (text.p[0] == size_units[i])
            shift = 30 - 10 * i;
    if (digits.len == 0 || (text.len > 0 && shift == 0))
        return err_set(err, ERR_INPUT, "a size is like 50M, 64K, 1G or 1000");
    if (!slice_number(digits, (unsigned long long)INT64_MAX >> shift, &number))
        return err_set(err, ERR_LIMIT, "size too large");
    *octets = number << shift;
    return true;
}

const char *
span_size_text(uint64_t octets, char out[SPAN_TEXT_SIZE])
{
    for (unsigned i = 0; octets > 0 && i < sizeof(size_units); i++) {
        unsigned shift = 30 - 10 * i;

        if (octets >> shift << shift == octets) {
            (void)snprintf(out, SPAN_TEXT_SIZE, "%" PRIu64 "%c",
                           octets >> shift, size_units[i]);
            return out;
        }
    }
    (void)snprintf(out, SPAN_TEXT_SIZE, "%" PRIu64, octets);
    return out;
}

bool
span_parse_rate(struct slice text, struct span_rate *out, struct err *err)
{
    struct slice per = text;
    struct slice count = slice_cut(&per, '/');
    unsigned long long number;

    if (slice_is(text, "0")) {
        *out = (struct span_rate){.count = 0, .per_ms = 1000};
        return true;
    }
    if (count.len == text.len || !slice_number(count, UINT32_MAX, &number))
        return err_set(err, ERR_INPUT, "a rate is like 100/1h");
    if (!span_parse(per, &out->per_ms, err))
        return false;
    if (out->per_ms <= 0)
        return err_set(err, ERR_INPUT, "a rate is like 100/1h");
    out->count = number;
    return true;
}
