#include "queue/schedule.h"

#include <assert.h>

enum { JITTER_PART = 10 }; /* up to a tenth, either way */

static int64_t
add(int64_t a, int64_t b)
{
    int64_t sum;

    return __builtin_add_overflow(a, b, &sum) ? INT64_MAX : sum;
}

/* A whole number of ms in [step - step/10, step + step/10]. */
static int64_t
jittered(int64_t step, uint64_t random)
{
    uint64_t reach = (uint64_t)(step / JITTER_PART);

    return add(step - (int64_t)reach, (int64_t)(random % (2 * reach + 1)));
}

int64_t
queue_schedule_next(const struct queue_schedule *s, uint32_t attempts,
                    int64_t now_ms, uint64_t random)
{
    size_t i = attempts > 0 ? attempts - 1 : 0;
    int64_t wait;

    assert(s->steps > 0 && s->steps <= QUEUE_SCHEDULE_STEPS_MAX);
    if (i >= s->steps)
        i = s->steps - 1;
    wait = jittered(s->step_ms[i], random);
    if (i > 0 && wait < s->step_ms[0])
        wait = s->step_ms[0];
    return add(now_ms, wait);
}

int64_t
queue_schedule_latest(const struct queue_schedule *s, int64_t now_ms)
{
    int64_t longest = 0;

    for (size_t i = 0; i < s->steps; i++)
        if (s->step_ms[i] > longest)
            longest = s->step_ms[i];
    return add(now_ms, add(longest, longest / JITTER_PART));
}

/* A message from the future is young: the clock was set back. */
static int64_t
age(int64_t arrived_ms, int64_t now_ms)
{
    int64_t ms;

    if (arrived_ms >= now_ms)
        return 0;
    return __builtin_sub_overflow(now_ms, arrived_ms, &ms) ? INT64_MAX : ms;
}

bool
queue_schedule_is_expired(const struct queue_schedule *s, uint32_t attempts,
                          int64_t arrived_ms, int64_t now_ms)
{
    return attempts >= QUEUE_SCHEDULE_ATTEMPTS_MIN &&
           age(arrived_ms, now_ms) >= s->expire_ms;
}

bool
queue_schedule_is_late(const struct queue_schedule *s, int64_t arrived_ms,
                       int64_t now_ms)
{
    return s->warn_ms > 0 && age(arrived_ms, now_ms) >= s->warn_ms;
}
