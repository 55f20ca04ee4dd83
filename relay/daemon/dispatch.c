#include "relay/daemon/dispatch.h"

#include "relay/base/mem.h"
#include "relay/daemon/aged.h"
#include "relay/daemon/deliver.h"
#include "relay/daemon/outcome.h"
#include "relay/daemon/release.h"
#include "relay/daemon/router.h"
#include "relay/daemon/worker.h"

#include <assert.h>
#include <stdlib.h>

struct dispatch {
    struct relay *relay;
    struct queue_scheduler *scheduler;
    struct net_timer *timer, *housekeeping;
    struct outcome *unrecorded; /* the store could not take them yet */
    unsigned settling, calls;   /* outcomes and store calls under way */
    bool draining;
    struct aged *aged;
};

/* --- messages in --- */

struct message_task {
    struct task task;
    struct relay *relay;
    struct queue_message *message;
};

static void
message_arrived(struct task *task)
{
    struct message_task *x = own_container(task, struct message_task, task);

    queue_scheduler_add(x->relay->dispatch->scheduler, x->message);
    free(x);
}

void
dispatch_send(struct relay *relay, struct queue_message *m)
{
    struct message_task *x = mem_new(struct message_task);

    x->task.run = message_arrived;
    x->relay = relay;
    x->message = m;
    task_post(&relay->inbox, &x->task);
}

/* --- reports in --- */

static void
may_run(struct dispatch *d)
{
    bool may = !d->draining && !d->unrecorded && d->relay->store_is_healthy &&
               d->settling < DISPATCH_SETTLING_MAX;

    queue_scheduler_may_run(d->scheduler, may);
}

static void
outcome_done(void *ctx, struct outcome *o, bool failed)
{
    struct dispatch *d = ctx;

    d->settling--;
    if (failed) {
        *outcome_link(o) = d->unrecorded;
        d->unrecorded = o;
    }
    may_run(d);
    if (failed)
        return;
    queue_scheduler_later(d->scheduler, outcome_has_notices(o)
                                            ? net_clock_steady()
                                            : outcome_next_ms(o));
    queue_scheduler_job_done(d->scheduler, outcome_job(o));
    outcome_free(&o);
}

static const char *
why(const struct report *r)
{
    return r->attempt_count ? r->attempts[r->attempt_count - 1].reply : NULL;
}

static void
tell_scheduler(struct dispatch *d, const struct report *r)
{
    switch (r->contact) {
    case REPORT_REACHED:
        queue_scheduler_reached(d->scheduler, r->order->destination);
        break;
    case REPORT_UNREACHED:
        queue_scheduler_unreached(d->scheduler, r->order->destination, why(r),
                                  net_clock_steady());
        break;
    case REPORT_NOT_TRIED:
        queue_scheduler_put_back(d->scheduler, r->order->destination, r->job);
        break;
    }
}

static void
report_arrived(struct task *task)
{
    struct report *r = own_container(task, struct report, task);
    struct dispatch *d = r->relay->dispatch;
    struct queue_order *over = r->is_last ? r->order : NULL;

    tell_scheduler(d, r);
    if (r->contact == REPORT_NOT_TRIED) {
        report_free(&r);
    } else {
        d->settling++;
        may_run(d);
        (void)outcome_start(d->relay, r, outcome_done, d);
    }
    if (over)
        queue_scheduler_order_done(d->scheduler, &over);
}

void
dispatch_report(struct relay *relay, struct report *r)
{
    r->relay = relay;
    r->task.run = report_arrived;
    task_post(&relay->inbox, &r->task);
}

void
dispatch_store_health(struct dispatch *d, bool healthy)
{
    struct outcome *o = take(&d->unrecorded);

    /* The last word on health may come when the store thread has ended. */
    if (!healthy || !d->relay->store) {
        d->unrecorded = o;
        may_run(d);
        return;
    }
    while (o) {
        struct outcome *next = *outcome_link(o);

        d->settling++;
        outcome_retry(o);
        o = next;
    }
    /* What could not be claimed is found again. */
    queue_scheduler_later(d->scheduler, net_clock_steady());
    may_run(d);
    dispatch_pump(d);
}

/* --- orders out --- */

struct order_task {
    struct task task;
    struct worker *worker;
    struct queue_order *order;
};

static void
order_arrived(struct task *task)
{
    struct order_task *x = own_container(task, struct order_task, task);

    deliver_start(x->worker, x->order);
    free(x);
}

/* Mode sink: taken, and delivered to nobody. */
static void
sink(struct dispatch *d, struct queue_order *order)
{
    struct mail_status status = {0};

    mail_status_set(&status, 250, "2.0.0", "dropped: the mode is sink");
    for (size_t i = 0; i < order->count; i++) {
        struct report *r = report_new(order, order->jobs[i]);

        r->is_last = i + 1 == order->count;
        r->contact = REPORT_REACHED;
        r->peer_has_dsn = true; /* nobody is told */
        report_decide_rest(r, &status);
        dispatch_report(d->relay, r);
    }
}

static void
do_order(struct dispatch *d, struct queue_order *order)
{
    struct order_task *x;

    if (d->relay->config->mode == CONFIG_MODE_SINK) {
        sink(d, order);
        return;
    }
    x = mem_new(struct order_task);
    x->task.run = order_arrived;
    x->worker = d->relay->workers[order->worker];
    x->order = order;
    worker_post(x->worker, &x->task);
}

/* --- the store --- */

/* What the several calls have in common: they are counted, so that the end
 * can wait for them. */
struct dispatch_call {
    struct store_call call;
    struct dispatch *dispatch;
};

static void
post(struct dispatch *d, struct dispatch_call *x,
     bool (*work)(struct store_call *, struct queue_store *, struct err *),
     void (*done)(struct task *))
{
    x->dispatch = d;
    x->call.work = work;
    x->call.task.run = done;
    x->call.home = &d->relay->inbox;
    d->calls++;
    store_thread_post(d->relay->store, &x->call);
}

struct claim_call {
    struct dispatch_call base;
    char *destination;
    size_t max, body_budget;
    struct queue_message *messages[QUEUE_CLAIM];
    size_t count;
    bool more;
};

static bool
work_claim(struct store_call *call, struct queue_store *store, struct err *err)
{
    struct claim_call *x = own_container(call, struct claim_call, base.call);
    size_t budget = x->body_budget;

    for (size_t i = 0; i < x->count; i++)
        queue_message_free(&x->messages[i]);
    x->count = 0;
    return queue_store_claim(store, x->destination, net_clock_steady(), x->max,
                             &budget, x->messages, &x->count, &x->more, err);
}

static void
log_damage(const struct dispatch *d, const struct err *err)
{
    struct log_line line;

    log_begin(&line, d->relay->log, LOG_LEVEL_ERROR, "store.claim");
    log_text(&line, "reason", err->text);
    log_end(&line);
}

static void
claim_done(struct task *task)
{
    struct claim_call *x =
        own_container(task, struct claim_call, base.call.task);
    struct dispatch *d = x->base.dispatch;

    d->calls--;
    for (size_t i = 0; i < x->count; i++) {
        if (x->base.call.failed)
            queue_message_free(&x->messages[i]);
        else
            queue_scheduler_add(d->scheduler, x->messages[i]);
    }
    if (x->base.call.failed)
        log_damage(d, &x->base.call.err);
    /* Rows that can't be read were set aside: the others are still there. */
    queue_scheduler_claimed(
        d->scheduler, x->destination,
        x->base.call.failed ? x->base.call.err.kind == ERR_INPUT : x->more);
    free(x->destination);
    free(x);
}

static void
do_claim(struct dispatch *d, const struct queue_do *what)
{
    struct claim_call *x = mem_new(struct claim_call);

    x->destination = mem_text(what->destination);
    x->max = what->max;
    x->body_budget = what->body_budget;
    post(d, &x->base, work_claim, claim_done);
}

struct scan_call {
    struct dispatch_call base;
    char *after;
    char *names[DISPATCH_SCAN_NAMES];
    size_t count;
    int64_t next_ms, next_before_ms;
    bool end;
};

static void
drop_names(struct scan_call *x)
{
    while (x->count > 0)
        free(x->names[--x->count]);
}

static bool
work_scan(struct store_call *call, struct queue_store *store, struct err *err)
{
    struct scan_call *x = own_container(call, struct scan_call, base.call);

    drop_names(x);
    x->next_ms = x->next_before_ms;
    return queue_store_due(store, x->after, net_clock_steady(),
                           DISPATCH_SCAN_NAMES, x->names, &x->count,
                           &x->next_ms, &x->end, err);
}

static void
scan_done(struct task *task)
{
    struct scan_call *x = own_container(task, struct scan_call, base.call.task);
    struct dispatch *d = x->base.dispatch;
    bool end = x->base.call.failed || x->end || x->count == 0;

    d->calls--;
    for (size_t i = 0; i < x->count && !x->base.call.failed; i++)
        queue_scheduler_found(d->scheduler, x->names[i]);
    if (!end) {
        free(x->after);
        x->after = mem_text(x->names[x->count - 1]);
        x->next_before_ms = x->next_ms;
        drop_names(x);
        post(d, &x->base, work_scan, scan_done);
        return;
    }
    queue_scheduler_found_all(d->scheduler, x->next_ms, net_clock_steady());
    drop_names(x);
    free(x->after);
    free(x);
}

static void
do_scan(struct dispatch *d)
{
    struct scan_call *x = mem_new(struct scan_call);

    x->after = mem_text("");
    x->next_ms = x->next_before_ms = INT64_MAX;
    post(d, &x->base, work_scan, scan_done);
}

static void
released(void *ctx)
{
    struct dispatch *d = ctx;

    d->calls--;
}

static void
do_release(struct dispatch *d, const struct queue_do *what)
{
    d->calls++;
    release_start(d->relay, what->id, what->numbers, what->count, released, d);
}

void
dispatch_pump(struct dispatch *d)
{
    struct queue_do what;
    int64_t now = net_clock_steady();

    if (!d->relay->store)
        return; /* the last letters arrive when it has ended */
    while (queue_scheduler_next(d->scheduler, now, &what)) {
        switch (what.kind) {
        case QUEUE_DO_ORDER:
            do_order(d, what.order);
            break;
        case QUEUE_DO_CLAIM:
            do_claim(d, &what);
            break;
        case QUEUE_DO_SCAN:
            do_scan(d);
            break;
        case QUEUE_DO_RELEASE:
            do_release(d, &what);
            break;
        }
    }
    net_timer_set(d->timer,
                  (uint64_t)queue_scheduler_wait_ms(d->scheduler, now) + 1);
}

static void
time_is_up(void *ctx)
{
    dispatch_pump(ctx);
}

void
dispatch_unblock(struct dispatch *d, const char *destination)
{
    queue_scheduler_unblock(d->scheduler, destination);
    dispatch_pump(d);
}

const struct queue_scheduler *
dispatch_scheduler(const struct dispatch *d)
{
    return d->scheduler;
}

/* --- housekeeping --- */

struct purge_call {
    struct dispatch_call base;
    int64_t before_ms;
    uint64_t rows_max;
    bool more;
};

static bool
work_purge(struct store_call *call, struct queue_store *store, struct err *err)
{
    struct purge_call *x = own_container(call, struct purge_call, base.call);

    return queue_store_purge(store, x->before_ms, x->rows_max, &x->more, err);
}

static void
purge_done(struct task *task)
{
    struct purge_call *x =
        own_container(task, struct purge_call, base.call.task);
    struct dispatch *d = x->base.dispatch;

    d->calls--;
    if (x->more && !x->base.call.failed && !d->draining)
        post(d, &x->base, work_purge, purge_done);
    else
        free(x);
}

static void
keep_house(void *ctx)
{
    struct dispatch *d = ctx;
    const struct config *c = d->relay->config;
    struct purge_call *x = mem_new(struct purge_call);

    x->before_ms = net_clock_steady() - c->history.keep_ms;
    x->rows_max = c->history.rows_max;
    post(d, &x->base, work_purge, purge_done);
    net_timer_set(d->housekeeping, DISPATCH_HOUSEKEEPING_MS);
}

/* --- birth, change and end --- */

static struct queue_limits
limits(const struct relay *relay)
{
    const struct config *c = relay->config;

    return (struct queue_limits){
        .workers = relay->worker_count,
        .per_destination = c->delivery.connections_per_domain,
        .in_all = c->delivery.connections,
        .rate_count = c->delivery.rate.count,
        .rate_ms = c->delivery.rate.per_ms,
        .schedule = c->retry,
    };
}

void
dispatch_configure(struct dispatch *d)
{
    const struct config *c = d->relay->config;
    struct queue_limits now = limits(d->relay);

    queue_scheduler_set_limits(d->scheduler, &now);
    for (size_t i = 0; i < c->route_count; i++) {
        char *name scoped(own_free) =
            mem_printf(ROUTER_PREFIX "%s", c->route[i].name);

        queue_scheduler_limit(d->scheduler, name, c->route[i].connections,
                              c->route[i].rate.count, c->route[i].rate.per_ms);
    }
}

struct dispatch *
dispatch_new(struct relay *relay)
{
    struct dispatch *d = mem_new(struct dispatch);
    struct queue_limits now = limits(relay);

    d->relay = relay;
    d->scheduler =
        queue_scheduler_new(&now, (uint64_t)arc4random() << 32 | arc4random());
    d->timer = net_timer_new(&relay->loop, time_is_up, d);
    d->housekeeping = net_timer_new(&relay->loop, keep_house, d);
    net_timer_set(d->housekeeping, DISPATCH_HOUSEKEEPING_MS);
    d->aged = aged_new(relay, d->scheduler);
    return d;
}

void
dispatch_drain(struct dispatch *d)
{
    d->draining = true;
    may_run(d);
}

bool
dispatch_is_idle(const struct dispatch *d)
{
    return queue_scheduler_active(d->scheduler) == 0 && d->settling == 0 &&
           d->calls == 0 && aged_is_idle(d->aged);
}

void
dispatch_free(struct dispatch **place)
{
    struct dispatch *d = take(place);

    if (!d)
        return;
    while (d->unrecorded) {
        struct outcome *o = d->unrecorded;

        d->unrecorded = *outcome_link(o);
        queue_scheduler_job_done(d->scheduler, outcome_job(o));
        outcome_free(&o);
    }
    net_timer_free(&d->timer);
    net_timer_free(&d->housekeeping);
    aged_free(&d->aged);
    queue_scheduler_free(&d->scheduler);
    free(d);
}
