#include "queue/pace.h"

void
queue_pace_set(struct queue_pace *p, uint64_t count, int64_t per_ms)
{
    if (count > QUEUE_PACE_COUNT_MAX)
        count = 0;
    if (p->count == count && p->per_ms == per_ms)
        return;
    *p = (struct queue_pace){.count = count, .per_ms = per_ms};
}

/* What is in the bucket at this time.  A clock that went back fills nothing. */
static uint64_t
filled(const struct queue_pace *p, int64_t now_ms)
{
    uint64_t full = p->count * (uint64_t)p->per_ms;
    int64_t passed = now_ms - p->at_ms;

    if (p->at_ms == 0 || passed >= p->per_ms)
        return full;
    if (passed > 0) {
        uint64_t now = p->filled + (uint64_t)passed * p->count;

        return now < full ? now : full;
    }
    return p->filled;
}

size_t
queue_pace_take(struct queue_pace *p, size_t want, int64_t now_ms)
{
    uint64_t each = (uint64_t)p->per_ms;
    size_t may;

    if (p->count == 0)
        return want;
    p->filled = filled(p, now_ms);
    p->at_ms = now_ms;
    may = (size_t)(p->filled / each);
    if (may > want)
        may = want;
    p->filled -= may * each;
    return may;
}

int64_t
queue_pace_wait_ms(const struct queue_pace *p, int64_t now_ms)
{
    uint64_t have, each = (uint64_t)p->per_ms;

    if (p->count == 0)
        return 0;
    have = filled(p, now_ms);
    return have >= each ? 0
                        : (int64_t)((each - have + p->count - 1) / p->count);
}
