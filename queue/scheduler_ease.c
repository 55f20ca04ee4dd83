#include "queue/scheduler_inside.h"

#include "relay/base/mem.h"
#include "relay/base/own.h"

#include <stdlib.h>

static unsigned
limit_of(const struct queue_scheduler *s, const struct queue_destination *d)
{
    return d->limit ? d->limit : s->limits.per_destination;
}

/* Evenly: what is less than one in a second waits that much longer. */
static void
set_rate(struct queue_destination *d, uint64_t per_minute)
{
    d->eased_rate = per_minute > 0 ? per_minute : 1;
    if (d->eased_rate >= 60)
        queue_pace_set(&d->eased_pace, d->eased_rate / 60, 1000);
    else
        queue_pace_set(&d->eased_pace, 1, (int64_t)(60000 / d->eased_rate));
}

/* What got through since the last word, or since it is open, in a minute. */
static uint64_t
seen_rate(const struct queue_destination *d, int64_t now_ms)
{
    int64_t took = now_ms - d->eased_ms;

    if (d->eased_ms == 0 || took < 1000)
        took = 1000;
    return d->good * 60000 / (uint64_t)took;
}

bool
queue_scheduler_is_easing(const struct queue_destination *d, int64_t now_ms)
{
    return d->eased && now_ms < d->eased_ms + d->pause_ms;
}

static void
ease(struct queue_scheduler *s, struct queue_destination *d, int64_t now_ms)
{
    unsigned now = queue_scheduler_allowance(s, d);
    uint64_t rate = seen_rate(d, now_ms);

    if (d->good > 0 || d->pause_ms == 0)
        d->pause_ms = QUEUE_EASE_MS;
    else if (d->pause_ms < QUEUE_EASE_MAX_MS)
        d->pause_ms *= 2;
    if (d->eased && (d->good == 0 || d->eased_rate < rate))
        rate = d->eased_rate;
    else if (!d->eased && rate < QUEUE_EASE_FIRST)
        rate = QUEUE_EASE_FIRST;
    set_rate(d, rate * 7 / 10);
    d->eased_from = d->eased_rate;
    d->eased = now > 1 ? now / 2 : 1;
    d->eased_ms = d->grown_ms = now_ms;
    d->good = 0;
}

bool
queue_scheduler_ease(struct queue_scheduler *s, const char *destination,
                     const char *why, bool is_reached, int64_t now_ms)
{
    struct queue_destination *d = queue_scheduler_get(s, destination);

    d->is_open |= is_reached && d->home != QUEUE_HOME_BLOCKED;
    if (d->home == QUEUE_HOME_BLOCKED || !d->is_open ||
        queue_scheduler_is_easing(d, now_ms))
        return false;
    ease(s, d, now_ms);
    free(d->why);
    d->why = mem_text(why);
    d->blocked_until_ms = now_ms + d->pause_ms;
    if (d->blocked_until_ms < s->unblock_at_ms)
        s->unblock_at_ms = d->blocked_until_ms;
    queue_scheduler_move(s, d, QUEUE_HOME_PACED);
    return true;
}

int64_t
queue_scheduler_pause_ms(const struct queue_scheduler *s,
                         const char *destination)
{
    const struct queue_destination *d = queue_scheduler_find(s, destination);

    return d ? d->pause_ms : 0;
}

void
queue_scheduler_recover(const struct queue_scheduler *s,
                        struct queue_destination *d, int64_t now_ms)
{
    if (d->eased && d->grown_ms < d->eased_ms + d->pause_ms)
        d->grown_ms = d->eased_ms + d->pause_ms;
    while (d->eased && now_ms - d->grown_ms >= QUEUE_EASE_STEP_MS) {
        d->grown_ms += QUEUE_EASE_STEP_MS;
        set_rate(d, d->eased_rate + d->eased_rate / 4 + 1);
        if (d->eased < limit_of(s, d))
            d->eased++;
        else if (d->eased_rate > 4 * d->eased_from) {
            d->eased = 0;
            d->pause_ms = 0;
            own_free(&d->why);
        }
    }
}
