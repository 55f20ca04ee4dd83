#include "queue/scheduler_inside.h"

#include "relay/base/mem.h"

#include <stdlib.h>
#include <string.h>

static struct queue_destination_list *
list_of(struct queue_scheduler *s, enum queue_home home)
{
    switch (home) {
    case QUEUE_HOME_READY:
        return &s->ready;
    case QUEUE_HOME_BLOCKED:
    case QUEUE_HOME_PACED:
        return &s->blocked;
    case QUEUE_HOME_IDLE:
        return &s->idle;
    case QUEUE_HOME_NONE:
        break;
    }
    return NULL;
}

void
queue_scheduler_move(struct queue_scheduler *s, struct queue_destination *d,
                     enum queue_home home)
{
    if (d->home == home)
        return;
    if (d->home != QUEUE_HOME_NONE)
        TAILQ_REMOVE(list_of(s, d->home), d, link);
    s->idle_count -= d->home == QUEUE_HOME_IDLE;
    d->home = home;
    s->idle_count += home == QUEUE_HOME_IDLE;
    if (home != QUEUE_HOME_NONE)
        TAILQ_INSERT_TAIL(list_of(s, home), d, link);
}

unsigned
queue_scheduler_allowance(const struct queue_scheduler *s,
                          const struct queue_destination *d)
{
    unsigned limit = d->limit ? d->limit : s->limits.per_destination;

    if (!d->is_open)
        return 1; /* the probe */
    if (d->eased && d->eased < limit)
        limit = d->eased;
    return d->strikes && limit > 1 ? limit / 2 : limit;
}

bool
queue_scheduler_may_order(const struct queue_scheduler *s,
                          const struct queue_destination *d)
{
    return d->waiting > 0 && d->active < queue_scheduler_allowance(s, d);
}

bool
queue_scheduler_may_claim(const struct queue_scheduler *s,
                          const struct queue_destination *d)
{
    return d->more && !d->claiming && d->waiting < QUEUE_CLAIM / 2 &&
           s->jobs < QUEUE_JOBS_MAX &&
           (d->is_open || (d->waiting == 0 && d->active == 0));
}

void
queue_scheduler_consider(struct queue_scheduler *s, struct queue_destination *d)
{
    if (d->home == QUEUE_HOME_BLOCKED || d->home == QUEUE_HOME_PACED)
        return;
    s->is_starved |= d->more && s->jobs >= QUEUE_JOBS_MAX;
    if (queue_scheduler_may_order(s, d) || queue_scheduler_may_claim(s, d))
        queue_scheduler_move(s, d, QUEUE_HOME_READY);
    else
        queue_scheduler_move(s, d, QUEUE_HOME_IDLE);
}

void
queue_scheduler_consider_all(struct queue_scheduler *s)
{
    struct queue_destination *d, *next;

    for (d = TAILQ_FIRST(&s->idle); d; d = next) {
        next = TAILQ_NEXT(d, link);
        if (d->waiting || d->more)
            queue_scheduler_consider(s, d);
    }
}

void
queue_scheduler_forget(struct queue_scheduler *s, struct queue_destination *d)
{
    queue_scheduler_move(s, d, QUEUE_HOME_NONE);
    HASH_DEL(s->by_name, d);
    free(d->name);
    free(d->why);
    free(d);
}

/* Idle destinations are remembered for what is known of them; the oldest go
 * first when there are too many. */
static void
trim(struct queue_scheduler *s)
{
    struct queue_destination *d, *next;

    for (d = TAILQ_FIRST(&s->idle); d && s->idle_count > QUEUE_IDLE_MAX;
         d = next) {
        next = TAILQ_NEXT(d, link);
        if (!d->waiting && !d->active && !d->more && !d->claiming &&
            !d->limit && !d->has_own_pace)
            queue_scheduler_forget(s, d);
    }
}

struct queue_destination *
queue_scheduler_find(const struct queue_scheduler *s, const char *name)
{
    struct queue_destination *d;

    HASH_FIND_STR(s->by_name, name, d);
    return d;
}

struct queue_destination *
queue_scheduler_get(struct queue_scheduler *s, const char *name)
{
    struct queue_destination *d = queue_scheduler_find(s, name);

    if (d)
        return d;
    d = mem_new(struct queue_destination);
    d->name = mem_text(name);
    TAILQ_INIT(&d->run);
    HASH_ADD_KEYPTR(hh, s->by_name, d->name, strlen(d->name), d);
    queue_scheduler_move(s, d, QUEUE_HOME_IDLE);
    trim(s);
    return d;
}
