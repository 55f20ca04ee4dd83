#include "relay/daemon/refresher.h"

#include "relay/base/mem.h"
#include "relay/daemon/resolver.h"
#include "relay/daemon/sts_shelf.h"
#include "relay/daemon/worker.h"

#include <stdlib.h>

static const int64_t DAY_MS = 86400 * INT64_C(1000);
static const int64_t UNUSED_MS = 180 * 86400 * INT64_C(1000);

struct refresher {
    struct relay *relay;
    struct net_timer *timer;
    unsigned turn; /* which worker fetches next */
    char *after;   /* where the next round begins, so that fetches that
                      fail again and again starve no others */
    bool is_under_way;
};

/* One policy's look-up, travelling to a worker and back. */
struct fetch {
    struct task task;
    struct relay *relay;
    struct worker *worker;
    char *domain;
    struct resolver_wait *wait;
    void (*done)(void *ctx);
    void *ctx;
};

int64_t
refresher_due_ms(const struct policy_sts_entry *e)
{
    int64_t half = (e->expires_ms - e->fetched_ms) / 2;
    int64_t spread = 0;

    for (const char *p = e->domain.text; *p; p++)
        spread = (spread * 31 + *p) % (3 * 3600 * 1000);
    if (!e->text)
        return e->checked_ms + DAY_MS;
    return e->fetched_ms + (half < DAY_MS ? half : DAY_MS - spread);
}

bool
refresher_is_unused(const struct policy_sts_entry *e, int64_t now_ms)
{
    int64_t last = e->used_ms > e->checked_ms ? e->used_ms : e->checked_ms;

    if (!e->text)
        return now_ms - last > DAY_MS;
    return now_ms > e->expires_ms || now_ms - e->used_ms > UNUSED_MS;
}

/* --- one fetch --- */

static void
fetch_home(struct task *task)
{
    struct fetch *x = own_container(task, struct fetch, task);

    if (x->done)
        x->done(x->ctx);
    free(x->domain);
    free(x);
}

static void
fetched(void *ctx, const struct policy_facts *facts)
{
    struct fetch *x = ctx;

    (void)facts; /* what came of it is in the store */
    x->task.run = fetch_home;
    task_post(&x->relay->inbox, &x->task);
}

static void
fetch_arrived(struct task *task)
{
    struct fetch *x = own_container(task, struct fetch, task);

    resolver_refresh(&x->wait, x->worker->resolver, x->domain, fetched, x);
}

void
refresher_fetch(struct refresher *r, const char *domain,
                void (*done)(void *ctx), void *ctx)
{
    struct fetch *x = mem_new(struct fetch);

    x->relay = r->relay;
    x->worker = r->relay->workers[r->turn++ % r->relay->worker_count];
    x->domain = mem_text(domain);
    x->done = done;
    x->ctx = ctx;
    x->task.run = fetch_arrived;
    worker_post(x->worker, &x->task);
}

/* --- the daily round --- */

struct round {
    struct store_call call;
    struct refresher *refresher;
    int64_t now_ms;
    char *after, *last; /* domains: looked at behind the one, up to the other */
    size_t seen;
    char *domains[REFRESHER_BATCH], *unused[REFRESHER_BATCH];
    size_t count, unused_count;
    size_t next; /* of domains */
};

static void
empty(struct round *x)
{
    while (x->count > 0)
        free(x->domains[--x->count]);
    while (x->unused_count > 0)
        free(x->unused[--x->unused_count]);
    own_free(&x->last);
    x->seen = 0;
}

static void
look_at(void *ctx, const char *domain, struct slice value)
{
    struct round *x = ctx;
    struct policy_sts_entry e = {0};
    struct err err;

    free(x->last);
    x->last = mem_text(domain);
    x->seen++;
    if (!sts_shelf_parse(domain, value, &e, &err) ||
        refresher_is_unused(&e, x->now_ms))
        x->unused[x->unused_count++] = mem_text(domain);
    else if (e.text)
        x->domains[x->count++] = mem_text(domain);
    policy_sts_entry_done(&e);
}

static bool
work_round(struct store_call *call, struct queue_store *store, struct err *err)
{
    struct round *x = own_container(call, struct round, call);

    empty(x);
    if (!queue_store_shelf_list(store, STS_SHELF, x->after, x->now_ms,
                                REFRESHER_BATCH, look_at, x, err))
        return false;
    for (size_t i = 0; i < x->unused_count; i++)
        if (!queue_store_shelf_drop(store, STS_SHELF, x->unused[i], err) &&
            err->kind != ERR_MISSING)
            return false;
    return true;
}

static void
next_fetch(void *ctx)
{
    struct round *x = ctx;
    struct refresher *r = x->refresher;

    if (x->next < x->count && !atomic_load(&r->relay->is_draining)) {
        refresher_fetch(r, x->domains[x->next++], next_fetch, x);
        return;
    }
    r->is_under_way = false;
    empty(x);
    free(x->after);
    free(x);
}

static void
round_done(struct task *task)
{
    struct round *x = own_container(task, struct round, call.task);
    struct refresher *r = x->refresher;

    free(r->after);
    r->after = mem_text(x->seen == REFRESHER_BATCH ? x->last : "");
    next_fetch(x);
}

static void
tick(void *ctx)
{
    struct refresher *r = ctx;
    struct round *x;

    net_timer_set(r->timer, REFRESHER_TICK_MS);
    if (r->is_under_way)
        return; /* slow hosts make a long round */
    r->is_under_way = true;
    x = mem_new(struct round);
    x->refresher = r;
    x->after = mem_text(r->after);
    x->now_ms = net_clock_steady();
    x->call.work = work_round;
    x->call.task.run = round_done;
    x->call.home = &r->relay->inbox;
    store_thread_post(r->relay->store, &x->call);
}

struct refresher *
refresher_new(struct relay *relay)
{
    struct refresher *r = mem_new(struct refresher);

    r->relay = relay;
    r->after = mem_text("");
    r->timer = net_timer_new(&relay->loop, tick, r);
    net_timer_set(r->timer, REFRESHER_TICK_MS);
    return r;
}

void
refresher_free(struct refresher **place)
{
    struct refresher *r = take(place);

    if (!r)
        return;
    net_timer_free(&r->timer);
    free(r->after);
    free(r);
}
