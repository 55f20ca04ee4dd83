#include "queue/scheduler_inside.h"

#include "relay/base/mem.h"
#include "relay/base/own.h"

#include <assert.h>
#include <stdlib.h>

uint64_t
queue_scheduler_draw(struct queue_scheduler *s)
{
    s->random = s->random * 6364136223846793005U + 1442695040888963407U;
    return s->random >> 16;
}

/* --- orders --- */

static unsigned
least_busy(struct queue_scheduler *s)
{
    unsigned start = (unsigned)(queue_scheduler_draw(s) % s->limits.workers);
    unsigned best = start;

    for (unsigned i = 1; i < s->limits.workers; i++) {
        unsigned w = (start + i) % s->limits.workers;

        if (s->worker_active[w] < s->worker_active[best])
            best = w;
    }
    return best;
}

/* An even share of what waits, so that all the lanes get some. */
static size_t
share(const struct queue_scheduler *s, const struct queue_destination *d)
{
    unsigned lanes = queue_scheduler_allowance(s, d) - d->active;
    size_t n = (d->waiting + lanes - 1) / lanes;

    if (!d->is_open)
        return 1;
    return n < QUEUE_ORDER_JOBS_MAX ? n : QUEUE_ORDER_JOBS_MAX;
}

/* NULL: the destination has had its share for now. */
static struct queue_order *
new_order(struct queue_scheduler *s, struct queue_destination *d,
          int64_t now_ms)
{
    struct queue_order *order;
    size_t n;

    if (!d->has_own_pace)
        queue_pace_set(&d->pace, s->limits.rate_count, s->limits.rate_ms);
    queue_scheduler_recover(s, d, now_ms);
    n = queue_pace_take(&d->pace, share(s, d), now_ms);
    if (d->eased)
        n = queue_pace_take(&d->eased_pace, n, now_ms);
    if (n == 0) {
        queue_scheduler_pace(s, d, now_ms);
        return NULL;
    }
    order = mem_new(struct queue_order);

    order->destination = mem_text(d->name);
    order->is_probe = !d->is_open;
    order->worker = least_busy(s);
    while (order->count < n) {
        struct queue_job *job = TAILQ_FIRST(&d->run);

        TAILQ_REMOVE(&d->run, job, link);
        d->waiting--;
        order->jobs[order->count++] = job;
    }
    d->active++;
    s->active++;
    s->worker_active[order->worker]++;
    return order;
}

void
queue_scheduler_order_done(struct queue_scheduler *s,
                           struct queue_order **place)
{
    struct queue_order *order = take(place);
    struct queue_destination *d = queue_scheduler_get(s, order->destination);
    d->active--;
    s->active--;
    s->worker_active[order->worker]--;
    free(order->destination);
    free(order);
    queue_scheduler_consider(s, d);
}

/* --- what to do --- */

static bool
next_release(struct queue_scheduler *s, struct queue_do *out)
{
    struct queue_release *r = TAILQ_FIRST(&s->releases);

    if (!r)
        return false;
    TAILQ_REMOVE(&s->releases, r, link);
    *out = (struct queue_do){.kind = QUEUE_DO_RELEASE,
                             .id = r->id,
                             .numbers = r->numbers,
                             .count = r->count};
    free(r);
    return true;
}

static bool
next_scan(struct queue_scheduler *s, int64_t now_ms, struct queue_do *out)
{
    if (s->scanning || now_ms < s->scan_at_ms ||
        now_ms < s->scanned_ms + QUEUE_SCAN_GAP_MS)
        return false;
    s->scanning = true;
    s->scanned_ms = now_ms;
    s->scan_at_ms = now_ms + QUEUE_SCAN_MS;
    *out = (struct queue_do){.kind = QUEUE_DO_SCAN};
    return true;
}

static void
ask_claim(struct queue_scheduler *s, struct queue_destination *d,
          struct queue_do *out)
{
    size_t room =
        QUEUE_BODIES_MAX > s->bodies ? QUEUE_BODIES_MAX - s->bodies : 0;

    d->claiming = true;
    d->more = false; /* until there is again, or the claim says so */
    *out = (struct queue_do){.kind = QUEUE_DO_CLAIM,
                             .destination = d->name,
                             .max = d->is_open ? QUEUE_CLAIM : 1,
                             .body_budget = room};
}

static bool
give_order(struct queue_scheduler *s, struct queue_destination *d,
           int64_t now_ms, struct queue_do *out)
{
    struct queue_order *order = new_order(s, d, now_ms);

    *out = (struct queue_do){.kind = QUEUE_DO_ORDER, .order = order};
    return order != NULL;
}

/* Mostly room comes by itself; but those that are slow could keep it from all
 * others for hours. */
static void
relieve(struct queue_scheduler *s, int64_t now_ms)
{
    if (s->relief_at_ms == INT64_MAX)
        s->relief_at_ms = now_ms + QUEUE_STARVED_MS;
    if (now_ms >= s->relief_at_ms) {
        s->relief_at_ms = now_ms + QUEUE_STARVED_MS;
        queue_scheduler_make_room(s);
    }
    if (s->jobs >= QUEUE_JOBS_MAX / 4 * 3)
        return;
    s->is_starved = false;
    s->relief_at_ms = INT64_MAX;
    queue_scheduler_consider_all(s);
}

bool
queue_scheduler_next(struct queue_scheduler *s, int64_t now_ms,
                     struct queue_do *out)
{
    struct queue_destination *d;

    queue_scheduler_unblock_due(s, now_ms);
    if (s->is_starved)
        relieve(s, now_ms);
    if (next_release(s, out) || next_scan(s, now_ms, out))
        return true;
    while (s->may_run && s->active < s->limits.in_all &&
           (d = TAILQ_FIRST(&s->ready)) != NULL) {
        bool found = true;

        if (queue_scheduler_may_claim(s, d))
            ask_claim(s, d, out);
        else if (queue_scheduler_may_order(s, d))
            found = give_order(s, d, now_ms, out);
        else
            found = false;
        if (d->home == QUEUE_HOME_READY)
            queue_scheduler_move(
                s, d,
                QUEUE_HOME_NONE); /* to the end of its list: taking turns */
        queue_scheduler_consider(s, d);
        if (found)
            return true;
    }
    return false;
}

int64_t
queue_scheduler_wait_ms(const struct queue_scheduler *s, int64_t now_ms)
{
    int64_t at = s->unblock_at_ms;
    int64_t scan = s->scan_at_ms;

    if (scan < s->scanned_ms + QUEUE_SCAN_GAP_MS)
        scan = s->scanned_ms + QUEUE_SCAN_GAP_MS;
    if (!s->scanning && scan < at)
        at = scan;
    if (s->relief_at_ms < at)
        at = s->relief_at_ms;
    if (at == INT64_MAX)
        return QUEUE_SCAN_MS;
    return at > now_ms ? at - now_ms : 0;
}

void
queue_scheduler_claimed(struct queue_scheduler *s, const char *destination,
                        bool more)
{
    struct queue_destination *d = queue_scheduler_get(s, destination);

    d->claiming = false;
    d->more |= more;
    queue_scheduler_consider(s, d);
}

void
queue_scheduler_found(struct queue_scheduler *s, const char *destination)
{
    struct queue_destination *d = queue_scheduler_get(s, destination);

    d->more = true;
    queue_scheduler_consider(s, d);
}

void
queue_scheduler_found_all(struct queue_scheduler *s, int64_t next_ms,
                          int64_t now_ms)
{
    s->scanning = false;
    if (s->scan_at_ms > now_ms + QUEUE_SCAN_MS)
        s->scan_at_ms = now_ms + QUEUE_SCAN_MS;
    queue_scheduler_later(s, next_ms);
}

void
queue_scheduler_later(struct queue_scheduler *s, int64_t next_ms)
{
    if (next_ms < s->scan_at_ms)
        s->scan_at_ms = next_ms;
}

void
queue_scheduler_may_run(struct queue_scheduler *s, bool may)
{
    s->may_run = may;
}

unsigned
queue_scheduler_active(const struct queue_scheduler *s)
{
    return s->active;
}

size_t
queue_scheduler_held(const struct queue_scheduler *s)
{
    return s->jobs;
}

void
queue_scheduler_each(const struct queue_scheduler *s, queue_destination_fn *row,
                     void *ctx)
{
    for (const struct queue_destination *d = s->by_name; d; d = d->hh.next) {
        struct queue_destination_row r = {
            .name = d->name,
            .why = d->why,
            .waiting = d->waiting,
            .eased = d->eased,
            .more = d->more,
            .active = d->active,
            .failures = d->failures,
            .blocked_until_ms = d->blocked_until_ms,
            .is_paced = d->home == QUEUE_HOME_PACED,
            .is_held = d->is_held,
        };

        if (d->waiting || d->more || d->active || d->blocked_until_ms ||
            d->eased)
            row(ctx, &r);
    }
}

/* --- birth and death --- */

struct queue_scheduler *
queue_scheduler_new(const struct queue_limits *limits, uint64_t seed)
{
    struct queue_scheduler *s = mem_new(struct queue_scheduler);

    assert(limits->workers > 0);
    s->limits = *limits;
    s->random = seed;
    s->may_run = true;
    s->unblock_at_ms = s->relief_at_ms = INT64_MAX;
    s->scanned_ms = -QUEUE_SCAN_GAP_MS;
    s->worker_active = mem_array(unsigned, limits->workers);
    TAILQ_INIT(&s->ready);
    TAILQ_INIT(&s->blocked);
    TAILQ_INIT(&s->idle);
    TAILQ_INIT(&s->releases);
    return s;
}

void
queue_scheduler_set_limits(struct queue_scheduler *s,
                           const struct queue_limits *limits)
{
    assert(limits->workers == s->limits.workers);
    s->limits = *limits;
    queue_scheduler_consider_all(s);
}

void
queue_scheduler_limit(struct queue_scheduler *s, const char *destination,
                      unsigned orders, uint64_t rate_count, int64_t rate_ms)
{
    struct queue_destination *d = queue_scheduler_get(s, destination);

    d->limit = orders;
    d->has_own_pace = true;
    queue_pace_set(&d->pace, rate_count, rate_ms);
    queue_scheduler_consider(s, d);
}

void
queue_scheduler_free(struct queue_scheduler **place)
{
    struct queue_scheduler *s = take(place);
    struct queue_destination *d, *next;
    struct queue_release *r;

    if (!s)
        return;
    assert(s->active == 0);
    HASH_ITER(hh, s->by_name, d, next)
    {
        queue_scheduler_empty_run(s, d);
        queue_scheduler_forget(s, d);
    }
    while ((r = TAILQ_FIRST(&s->releases)) != NULL) {
        TAILQ_REMOVE(&s->releases, r, link);
        free(r->numbers);
        free(r);
    }
    free(s->worker_active);
    free(s);
}
