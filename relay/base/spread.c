#include "relay/base/spread.h"

#include <stddef.h>

/* The first four steps are 0 to 3 ms; each doubling from there on has four. */
static size_t
step_of(uint64_t ms)
{
    unsigned magnitude;
    size_t step;

    if (ms < 4)
        return (size_t)ms;
    magnitude = 63 - (unsigned)__builtin_clzll(ms);
    step = (magnitude - 1) * 4 + ((ms >> (magnitude - 2)) & 3);
    return step < SPREAD_STEPS ? step : SPREAD_STEPS - 1;
}

static int64_t
middle_of(size_t step)
{
    uint64_t width;

    if (step < 4)
        return (int64_t)step;
    width = UINT64_C(1) << (step / 4 - 1);
    return (int64_t)((4 + step % 4) * width + (width - 1) / 2);
}

void
spread_add(struct spread *s, int64_t ms)
{
    s->count[step_of(ms > 0 ? (uint64_t)ms : 0)]++;
}

void
spread_merge(struct spread *into, const struct spread *from)
{
    for (size_t i = 0; i < SPREAD_STEPS; i++)
        into->count[i] += from->count[i];
}

uint64_t
spread_total(const struct spread *s)
{
    uint64_t total = 0;

    for (size_t i = 0; i < SPREAD_STEPS; i++)
        total += s->count[i];
    return total;
}

int64_t
spread_quantile(const struct spread *s, unsigned permille)
{
    uint64_t total = spread_total(s), sum = 0;

    for (size_t i = 0; i < SPREAD_STEPS; i++) {
        sum += s->count[i];
        if (sum > 0 && sum * 1000 >= total * permille)
            return middle_of(i);
    }
    return -1;
}
