#include "queue/scheduler.h"

#include "queue/pace.h"

#include "relay/base/map.h"
#include "relay/base/mem.h"
#include "relay/base/own.h"

#include <assert.h>
#include <stdlib.h>

enum home {
    HOME_NONE,    /* just made, or about to go */
    HOME_READY,   /* has something to do: on the ready list */
    HOME_BLOCKED, /* could not be reached: on the blocked list */
    HOME_PACED,   /* has had its share for now: on the blocked list, too */
    HOME_IDLE,    /* waits, or is only remembered: on the idle list */
};

TAILQ_HEAD(job_list, queue_job);

struct destination {
    char *name;
    UT_hash_handle hh;
    enum home home;
    TAILQ_ENTRY(destination) link; /* of the list that `home` names */

    struct job_list run;
    size_t waiting; /* jobs in run */
    bool more;      /* the store may have due work */
    bool claiming;
    unsigned active; /* orders under way */
    unsigned limit;  /* its own; 0: the general one */
    bool has_own_pace;
    struct queue_pace pace;

    bool is_open; /* a peer was reached since the last trouble */
    unsigned failures, strikes;
    int64_t blocked_until_ms;
    char *why;
};

TAILQ_HEAD(destination_list, destination);

struct release {
    TAILQ_ENTRY(release) link;
    uint64_t id;
    uint32_t *numbers;
    size_t count;
};

struct queue_scheduler {
    struct queue_limits limits;
    uint64_t random;
    bool may_run;

    struct destination *by_name; /* uthash */
    struct destination_list ready, blocked, idle;
    size_t idle_count;
    TAILQ_HEAD(, release) releases;

    unsigned *worker_active;
    unsigned active;
    size_t jobs;   /* held: waiting and under way */
    size_t bodies; /* octets */

    bool is_starved; /* somebody could not claim for want of room */

    bool scanning;
    int64_t scan_at_ms, scanned_ms, unblock_at_ms;
};

static uint64_t
draw(struct queue_scheduler *s)
{
    s->random = s->random * 6364136223846793005U + 1442695040888963407U;
    return s->random >> 16;
}

/* --- which list a destination is on --- */

static struct destination_list *
list_of(struct queue_scheduler *s, enum home home)
{
    switch (home) {
    case HOME_READY:
        return &s->ready;
    case HOME_BLOCKED:
    case HOME_PACED:
        return &s->blocked;
    case HOME_IDLE:
        return &s->idle;
    case HOME_NONE:
        break;
    }
    return NULL;
}

static void
move(struct queue_scheduler *s, struct destination *d, enum home home)
{
    if (d->home == home)
        return;
    if (d->home != HOME_NONE)
        TAILQ_REMOVE(list_of(s, d->home), d, link);
    s->idle_count -= d->home == HOME_IDLE;
    d->home = home;
    s->idle_count += home == HOME_IDLE;
    if (home != HOME_NONE)
        TAILQ_INSERT_TAIL(list_of(s, home), d, link);
}

static unsigned
allowance(const struct queue_scheduler *s, const struct destination *d)
{
    unsigned limit = d->limit ? d->limit : s->limits.per_destination;

    if (!d->is_open)
        return 1; /* the probe */
    return d->strikes && limit > 1 ? limit / 2 : limit;
}

/* What a destination by itself could do; the limits on all of them together
 * are kept by queue_scheduler_next. */
static bool
may_order(const struct queue_scheduler *s, const struct destination *d)
{
    return d->waiting > 0 && d->active < allowance(s, d);
}

static bool
may_claim(const struct queue_scheduler *s, const struct destination *d)
{
    return d->more && !d->claiming && d->waiting < QUEUE_CLAIM / 2 &&
           s->jobs < QUEUE_JOBS_MAX &&
           (d->is_open || (d->waiting == 0 && d->active == 0));
}

/* Puts a destination where its state says.  Blocked ones stay blocked. */
static void
consider(struct queue_scheduler *s, struct destination *d)
{
    if (d->home == HOME_BLOCKED || d->home == HOME_PACED)
        return;
    s->is_starved |= d->more && s->jobs >= QUEUE_JOBS_MAX;
    if (may_order(s, d) || may_claim(s, d))
        move(s, d, HOME_READY);
    else
        move(s, d, HOME_IDLE);
}

static void
forget(struct queue_scheduler *s, struct destination *d)
{
    move(s, d, HOME_NONE);
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
    struct destination *d, *next;

    for (d = TAILQ_FIRST(&s->idle); d && s->idle_count > QUEUE_IDLE_MAX;
         d = next) {
        next = TAILQ_NEXT(d, link);
        if (!d->waiting && !d->active && !d->more && !d->claiming &&
            !d->limit && !d->has_own_pace)
            forget(s, d);
    }
}

static struct destination *
find(const struct queue_scheduler *s, const char *name)
{
    struct destination *d;

    HASH_FIND_STR(s->by_name, name, d);
    return d;
}

static struct destination *
get(struct queue_scheduler *s, const char *name)
{
    struct destination *d = find(s, name);

    if (d)
        return d;
    d = mem_new(struct destination);
    d->name = mem_text(name);
    TAILQ_INIT(&d->run);
    HASH_ADD_KEYPTR(hh, s->by_name, d->name, strlen(d->name), d);
    move(s, d, HOME_IDLE);
    trim(s);
    return d;
}

/* --- messages and jobs --- */

static void
drop_message(struct queue_scheduler *s, struct queue_message *m)
{
    if (m->jobs > 0)
        return;
    s->bodies -= m->body.len;
    queue_message_free(&m);
}

static void
drop_job(struct queue_scheduler *s, struct queue_job *job)
{
    s->jobs--;
    job->message->jobs--;
    drop_message(s, job->message);
    free(job->rcpt);
    free(job);
}

static void
give_back(struct queue_scheduler *s, const struct queue_job *job)
{
    struct release *r = mem_new(struct release);

    r->id = job->message->id;
    r->numbers = mem_array(uint32_t, job->rcpt_count);
    r->count = job->rcpt_count;
    for (size_t i = 0; i < job->rcpt_count; i++)
        r->numbers[i] = job->message->rcpt[job->rcpt[i]].number;
    TAILQ_INSERT_TAIL(&s->releases, r, link);
}

static void
empty_run(struct queue_scheduler *s, struct destination *d)
{
    struct queue_job *job;

    while ((job = TAILQ_FIRST(&d->run)) != NULL) {
        TAILQ_REMOVE(&d->run, job, link);
        d->waiting--;
        d->more = true;
        give_back(s, job);
        drop_job(s, job);
    }
}

/* The job of this message that is last in the run, when it has room. */
static struct queue_job *
open_job(const struct destination *d, const struct queue_message *m)
{
    struct queue_job *job = TAILQ_LAST(&d->run, job_list);

    return job && job->message == m && job->rcpt_count < QUEUE_JOB_RCPT_MAX
               ? job
               : NULL;
}

static struct queue_job *
new_job(struct queue_scheduler *s, struct destination *d,
        struct queue_message *m)
{
    struct queue_job *job = mem_new(struct queue_job);

    job->message = m;
    m->jobs++;
    s->jobs++;
    TAILQ_INSERT_TAIL(&d->run, job, link);
    d->waiting++;
    return job;
}

static void
add_rcpt(struct queue_scheduler *s, struct queue_message *m, size_t i)
{
    struct destination *d = get(s, m->rcpt[i].destination);
    struct queue_job *job = open_job(d, m);

    if (!job)
        job = new_job(s, d, m);
    job->rcpt = mem_resized(job->rcpt, job->rcpt_count + 1, sizeof(size_t));
    job->rcpt[job->rcpt_count++] = i;
}

static bool
is_full(const struct queue_scheduler *s, const struct destination *d)
{
    return d->home == HOME_BLOCKED || d->waiting > QUEUE_RUN_MAX ||
           s->jobs > QUEUE_JOBS_MAX;
}

/* Jobs of this message that there is no room for go back to the store. */
static void
settle_in(struct queue_scheduler *s, struct queue_message *m,
          const char *destination)
{
    struct destination *d = get(s, destination);
    struct queue_job *job = TAILQ_LAST(&d->run, job_list);

    while (is_full(s, d) && job && job->message == m) {
        struct queue_job *before = TAILQ_PREV(job, job_list, link);

        TAILQ_REMOVE(&d->run, job, link);
        d->waiting--;
        d->more = true;
        give_back(s, job);
        drop_job(s, job);
        job = before;
    }
    consider(s, d);
}

void
queue_scheduler_add(struct queue_scheduler *s, struct queue_message *m)
{
    m->jobs = 1; /* ours, while we look through it */
    s->bodies += m->body.len;
    if (s->bodies > QUEUE_BODIES_MAX) {
        s->bodies -= m->body.len;
        buf_free(&m->body);
    }
    for (size_t i = 0; i < m->envelope.rcpt_count; i++)
        add_rcpt(s, m, i);
    for (size_t i = 0; i < m->envelope.rcpt_count; i++)
        settle_in(s, m, m->rcpt[i].destination);
    m->jobs--;
    drop_message(s, m);
}

/* --- trouble --- */

static void
block(struct queue_scheduler *s, struct destination *d, int64_t now_ms)
{
    int64_t until;

    d->failures++;
    d->is_open = false;
    until =
        queue_schedule_next(&s->limits.schedule, d->failures, now_ms, draw(s));
    if (until > now_ms + QUEUE_PROBE_MAX_MS)
        until = now_ms + QUEUE_PROBE_MAX_MS;
    d->blocked_until_ms = until;
    if (until < s->unblock_at_ms)
        s->unblock_at_ms = until;
    empty_run(s, d);
    move(s, d, HOME_BLOCKED);
}

static void
unblock(struct queue_scheduler *s, struct destination *d)
{
    d->blocked_until_ms = 0;
    move(s, d, HOME_NONE);
    consider(s, d);
}

static void
unblock_due(struct queue_scheduler *s, int64_t now_ms)
{
    struct destination *d, *next;

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
queue_scheduler_reached(struct queue_scheduler *s, const char *destination)
{
    struct destination *d = get(s, destination);

    d->is_open = true;
    d->strikes = d->failures = 0;
    own_free(&d->why);
    if (d->home == HOME_BLOCKED)
        unblock(s, d);
    else
        consider(s, d);
}

void
queue_scheduler_unreached(struct queue_scheduler *s, const char *destination,
                          const char *why, int64_t now_ms)
{
    struct destination *d = get(s, destination);

    if (d->home == HOME_BLOCKED)
        return;
    free(d->why);
    d->why = mem_text(why);
    d->strikes++;
    if (!d->is_open || d->active <= 1 || d->strikes >= QUEUE_STRIKES_MAX)
        block(s, d, now_ms);
}

void
queue_scheduler_unblock(struct queue_scheduler *s, const char *destination)
{
    struct destination *d, *next;

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
    const struct destination *d = find(s, destination);

    *why = d ? d->why : NULL;
    return d ? d->failures : 0;
}

/* --- orders --- */

static unsigned
least_busy(struct queue_scheduler *s)
{
    unsigned start = (unsigned)(draw(s) % s->limits.workers);
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
share(const struct queue_scheduler *s, const struct destination *d)
{
    unsigned lanes = allowance(s, d) - d->active;
    size_t n = (d->waiting + lanes - 1) / lanes;

    if (!d->is_open)
        return 1;
    return n < QUEUE_ORDER_JOBS_MAX ? n : QUEUE_ORDER_JOBS_MAX;
}

/* Waits, with its jobs, until it may have one more. */
static void
pace(struct queue_scheduler *s, struct destination *d, int64_t now_ms)
{
    d->blocked_until_ms = now_ms + queue_pace_wait_ms(&d->pace, now_ms);
    if (d->blocked_until_ms < s->unblock_at_ms)
        s->unblock_at_ms = d->blocked_until_ms;
    move(s, d, HOME_PACED);
}

/* NULL: the destination has had its share for now. */
static struct queue_order *
new_order(struct queue_scheduler *s, struct destination *d, int64_t now_ms)
{
    struct queue_order *order;
    size_t n;

    if (!d->has_own_pace)
        queue_pace_set(&d->pace, s->limits.rate_count, s->limits.rate_ms);
    n = queue_pace_take(&d->pace, share(s, d), now_ms);
    if (n == 0) {
        pace(s, d, now_ms);
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
queue_scheduler_put_back(struct queue_scheduler *s, const char *destination,
                         struct queue_job *job)
{
    struct destination *d = get(s, destination);

    TAILQ_INSERT_HEAD(&d->run, job, link);
    d->waiting++;
    if (d->home == HOME_BLOCKED)
        empty_run(s, d);
    else
        consider(s, d);
}

static void
consider_all(struct queue_scheduler *s)
{
    struct destination *d, *next;

    for (d = TAILQ_FIRST(&s->idle); d; d = next) {
        next = TAILQ_NEXT(d, link);
        if (d->waiting || d->more)
            consider(s, d);
    }
}

void
queue_scheduler_order_done(struct queue_scheduler *s,
                           struct queue_order **place)
{
    struct queue_order *order = take(place);
    struct destination *d = get(s, order->destination);
    d->active--;
    s->active--;
    s->worker_active[order->worker]--;
    free(order->destination);
    free(order);
    consider(s, d);
}

void
queue_scheduler_job_done(struct queue_scheduler *s, struct queue_job *job)
{
    drop_job(s, job);
}

/* --- what to do --- */

static bool
next_release(struct queue_scheduler *s, struct queue_do *out)
{
    struct release *r = TAILQ_FIRST(&s->releases);

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
ask_claim(struct queue_scheduler *s, struct destination *d,
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
give_order(struct queue_scheduler *s, struct destination *d, int64_t now_ms,
           struct queue_do *out)
{
    struct queue_order *order = new_order(s, d, now_ms);

    *out = (struct queue_do){.kind = QUEUE_DO_ORDER, .order = order};
    return order != NULL;
}

bool
queue_scheduler_next(struct queue_scheduler *s, int64_t now_ms,
                     struct queue_do *out)
{
    struct destination *d;

    unblock_due(s, now_ms);
    if (s->is_starved && s->jobs < QUEUE_JOBS_MAX / 4 * 3) {
        s->is_starved = false;
        consider_all(s);
    }
    if (next_release(s, out) || next_scan(s, now_ms, out))
        return true;
    while (s->may_run && s->active < s->limits.in_all &&
           (d = TAILQ_FIRST(&s->ready)) != NULL) {
        bool found = true;

        if (may_claim(s, d))
            ask_claim(s, d, out);
        else if (may_order(s, d))
            found = give_order(s, d, now_ms, out);
        else
            found = false;
        if (d->home == HOME_READY)
            move(s, d, HOME_NONE); /* to the end of its list: taking turns */
        consider(s, d);
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
    if (at == INT64_MAX)
        return QUEUE_SCAN_MS;
    return at > now_ms ? at - now_ms : 0;
}

void
queue_scheduler_claimed(struct queue_scheduler *s, const char *destination,
                        bool more)
{
    struct destination *d = get(s, destination);

    d->claiming = false;
    d->more |= more;
    consider(s, d);
}

void
queue_scheduler_found(struct queue_scheduler *s, const char *destination)
{
    struct destination *d = get(s, destination);

    d->more = true;
    consider(s, d);
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
    for (const struct destination *d = s->by_name; d; d = d->hh.next) {
        struct queue_destination_row r = {
            .name = d->name,
            .why = d->why,
            .waiting = d->waiting,
            .more = d->more,
            .active = d->active,
            .failures = d->failures,
            .blocked_until_ms = d->blocked_until_ms,
        };

        if (d->waiting || d->more || d->active || d->blocked_until_ms)
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
    s->unblock_at_ms = INT64_MAX;
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
    consider_all(s);
}

void
queue_scheduler_limit(struct queue_scheduler *s, const char *destination,
                      unsigned orders, uint64_t rate_count, int64_t rate_ms)
{
    struct destination *d = get(s, destination);

    d->limit = orders;
    d->has_own_pace = true;
    queue_pace_set(&d->pace, rate_count, rate_ms);
    consider(s, d);
}

void
queue_scheduler_free(struct queue_scheduler **place)
{
    struct queue_scheduler *s = take(place);
    struct destination *d, *next;
    struct release *r;

    if (!s)
        return;
    assert(s->active == 0);
    HASH_ITER(hh, s->by_name, d, next)
    {
        empty_run(s, d);
        forget(s, d);
    }
    while ((r = TAILQ_FIRST(&s->releases)) != NULL) {
        TAILQ_REMOVE(&s->releases, r, link);
        free(r->numbers);
        free(r);
    }
    free(s->worker_active);
    free(s);
}
