#include "queue/scheduler_inside.h"

#include "relay/base/mem.h"
#include "relay/base/own.h"

#include <stdlib.h>
#include <string.h>

static void
block(struct queue_scheduler *s, struct queue_destination *d, int64_t now_ms)
{
    int64_t until;

    d->failures++;
    d->is_open = false;
    until = queue_schedule_next(&s->limits.schedule, d->failures, now_ms,
                                queue_scheduler_draw(s));
    if (until > now_ms + QUEUE_PROBE_MAX_MS)
        until = now_ms + QUEUE_PROBE_MAX_MS;
    d->blocked_until_ms = until;
    if (until < s->unblock_at_ms)
        s->unblock_at_ms = until;
    queue_scheduler_empty_run(s, d);
    queue_scheduler_move(s, d, QUEUE_HOME_BLOCKED);
}

static void
unblock(struct queue_scheduler *s, struct queue_destination *d)
{
    d->blocked_until_ms = 0;
    queue_scheduler_move(s, d, QUEUE_HOME_NONE);
    queue_scheduler_consider(s, d);
}

void
queue_scheduler_unblock_due(struct queue_scheduler *s, int64_t now_ms)
{
    struct queue_destination *d, *next;

    if (now_ms < s->unblock_at_ms)
        return;
    s->unblock_at_ms = INT64_MAX;
    for (d = TAILQ_FIRST(&s->blocked); d; d = next) {
        next = TAILQ_NEXT(d, link);
        if (d->blocked_until_ms <= now_ms)
            unblock(s, d);
        else if (d->blocked_until_ms < s->unblock_at_ms)
            s->unblock_at_ms = d->blocked_until_ms;
    }
}

void
queue_scheduler_pace(struct queue_scheduler *s, struct queue_destination *d,
                     int64_t now_ms)
{
    int64_t wait = queue_pace_wait_ms(&d->pace, now_ms);
    int64_t eased = d->eased ? queue_pace_wait_ms(&d->eased_pace, now_ms) : 0;

    d->blocked_until_ms = now_ms + (wait > eased ? wait : eased);
    if (d->blocked_until_ms < s->unblock_at_ms)
        s->unblock_at_ms = d->blocked_until_ms;
    queue_scheduler_move(s, d, QUEUE_HOME_PACED);
}

void
queue_scheduler_reached(struct queue_scheduler *s, const char *destination)
{
    struct queue_destination *d = queue_scheduler_get(s, destination);

    d->is_open = true;
    d->is_held = false;
    d->strikes = d->failures = 0;
    d->good++;
    if (!d->eased)
        own_free(&d->why);
    if (d->home == QUEUE_HOME_BLOCKED)
        unblock(s, d);
    else
        queue_scheduler_consider(s, d);
}

void
queue_scheduler_unreached(struct queue_scheduler *s, const char *destination,
                          const char *why, int64_t now_ms)
{
    struct queue_destination *d = queue_scheduler_get(s, destination);

    /* Whoever says that it gets too much is there. */
    if (d->home == QUEUE_HOME_BLOCKED || queue_scheduler_is_easing(d, now_ms))
        return;
    d->is_held = false;
    free(d->why);
    d->why = mem_text(why);
    d->strikes++;
    if (!d->is_open || d->active <= 1 || d->strikes >= QUEUE_STRIKES_MAX)
        block(s, d, now_ms);
}

void
queue_scheduler_hold(struct queue_scheduler *s, const char *destination,
                     const char *why, int64_t now_ms)
{
    struct queue_destination *d = queue_scheduler_get(s, destination);

    d->is_held = true;
    free(d->why);
    d->why = mem_text(why);
    if (d->home != QUEUE_HOME_BLOCKED)
        block(s, d, now_ms);
}

bool
queue_scheduler_is_held(const struct queue_scheduler *s,
                        const char *destination)
{
    const struct queue_destination *d = queue_scheduler_find(s, destination);

    return d && d->is_held;
}

void
queue_scheduler_unblock(struct queue_scheduler *s, const char *destination)
{
    struct queue_destination *d, *next;

    for (d = TAILQ_FIRST(&s->blocked); d; d = next) {
        next = TAILQ_NEXT(d, link);
        if (destination && strcmp(d->name, destination) != 0)
            continue;
        d->failures = 0; /* who asks does not make the next wait longer */
        unblock(s, d);
    }
    s->scan_at_ms = 0;
}

unsigned
queue_scheduler_failures(const struct queue_scheduler *s,
                         const char *destination, const char **why)
{
    const struct queue_destination *d = queue_scheduler_find(s, destination);

    *why = d ? d->why : NULL;
    return d ? d->failures : 0;
}
