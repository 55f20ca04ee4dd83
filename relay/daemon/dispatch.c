#include "relay/daemon/dispatch_inside.h"

#include "relay/base/mem.h"
#include "relay/daemon/account.h"
#include "relay/daemon/deliver.h"
#include "relay/daemon/router.h"
#include "relay/daemon/worker.h"

#include <stdlib.h>
#include <string.h>

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
ease(struct dispatch *d, const struct report *r)
{
    const char *destination = r->order->destination;
    int64_t now = net_clock_steady();
    struct log_line line;

    if (!queue_scheduler_ease(d->scheduler, destination, why(r),
                              r->contact == REPORT_REACHED, now))
        return;
    log_begin(&line, d->relay->log, LOG_LEVEL_WARNING, "delivery.throttled");
    log_text(&line, "destination", destination);
    log_text(&line, "reply", why(r));
    log_end(&line);
    metrics_count(d->relay->metrics, METRICS_THROTTLES,
                  metrics_route(destination));
    metric_add(d->relay->metrics, METRICS_THROTTLED,
               (const char *const[]){metrics_route(destination)},
               (uint64_t)queue_scheduler_pause_ms(d->scheduler, destination));
}

static void
tell_scheduler(struct dispatch *d, const struct report *r)
{
    if (r->is_throttled)
        ease(d, r);
    switch (r->contact) {
    case REPORT_REACHED:
        if (!r->is_throttled)
            queue_scheduler_reached(d->scheduler, r->order->destination);
        accounts_reached(d->relay->accounts, r->order->destination);
        break;
    case REPORT_UNREACHED:
        queue_scheduler_unreached(d->scheduler, r->order->destination, why(r),
                                  net_clock_steady());
        break;
    case REPORT_HELD:
        queue_scheduler_hold(d->scheduler, r->order->destination, why(r),
                             net_clock_steady());
        accounts_refused(d->relay->accounts, r->order->destination,
                         r->credential, why(r));
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
    struct credential *credential;
};

static void
order_arrived(struct task *task)
{
    struct order_task *x = own_container(task, struct order_task, task);

    deliver_start(x->worker, x->order, x->credential);
    free(x);
}

/* Gives this answer to all, without asking anybody. */
static void
answer_all(struct dispatch *d, struct queue_order *order,
           const struct mail_status *status, bool is_kept_back)
{
    for (size_t i = 0; i < order->count; i++) {
        struct report *r = report_new(order, order->jobs[i]);

        r->is_last = i + 1 == order->count;
        r->contact = REPORT_REACHED;
        r->peer_has_dsn = true; /* nobody is told */
        r->is_kept_back = is_kept_back;
        report_decide_rest(r, status);
        dispatch_report(d->relay, r);
    }
}

/* An operator gave it up: its sender is told, and how far it had come. */
static void
end(struct dispatch *d, struct queue_order *order)
{
    for (size_t i = 0; i < order->count; i++) {
        struct report *r = report_new(order, order->jobs[i]);
        const struct queue_message *m = r->job->message;

        r->is_last = i + 1 == order->count;
        r->contact = REPORT_REACHED;
        for (size_t k = 0; k < r->rcpt_count; k++) {
            const char *last = m->rcpt[r->rcpt[k].rcpt].last;
            struct mail_status status = {0};

            mail_status_set(&status, 554, "5.0.0",
                            "an operator of this relay ended the delivery%s%s",
                            last ? "; before: " : "", last ? last : "");
            report_decide(r, k, &status);
        }
        dispatch_report(d->relay, r);
    }
}

/* Mode sink: taken, and delivered to nobody. */
static void
sink(struct dispatch *d, struct queue_order *order)
{
    struct mail_status status = {0};

    mail_status_set(&status, 250, "2.0.0", "dropped: the mode is sink");
    answer_all(d, order, &status, false);
}

static bool
may_mail_all(const struct config *c, const struct queue_order *order)
{
    for (size_t i = 0; i < order->count; i++) {
        const struct queue_job *j = order->jobs[i];

        for (size_t k = 0; k < j->rcpt_count; k++)
            if (!router_may_mail(c,
                                 j->message->envelope.rcpt[j->rcpt[k]].address))
                return false;
    }
    return true;
}

/* Mode redirect, and mail from before it: nobody but redirect_to gets any. */
static void
hold_back(struct dispatch *d, struct queue_order *order)
{
    struct mail_status status = {0};

    mail_status_set(&status, 450, "4.3.2",
                    "queued before the mode was redirect: waits until it is "
                    "live");
    answer_all(d, order, &status, true);
}

void
dispatch_go(struct relay *relay, struct queue_order *order,
            struct credential *credential)
{
    struct order_task *x = mem_new(struct order_task);

    x->task.run = order_arrived;
    x->worker = relay->workers[order->worker];
    x->order = order;
    x->credential = credential;
    worker_post(x->worker, &x->task);
}

/* One of them learns why; the others were not tried. */
void
dispatch_hold(struct relay *relay, struct queue_order *order, const char *why)
{
    struct mail_status status = {0};
    size_t count = order->count; /* it may be gone with the last report */

    mail_status_set(&status, 454, "4.7.0", "the route is held: %s", why);
    for (size_t i = 0; i < count; i++) {
        struct report *r = report_new(order, order->jobs[i]);

        r->is_last = i + 1 == count;
        r->contact = i == 0 ? REPORT_HELD : REPORT_NOT_TRIED;
        if (i == 0) {
            struct queue_attempt *a = report_add(r);

            a->at_ms = net_clock_wall();
            a->step = mem_text("AUTH");
            a->reply = mem_printf("%d 4.7.0 %s", status.code, status.text);
            report_decide_rest(r, &status);
        }
        dispatch_report(relay, r);
    }
}

static void
do_order(struct dispatch *d, struct queue_order *order)
{
    struct credential *credential;

    if (strcmp(order->destination, QUEUE_ENDED) == 0)
        end(d, order);
    else if (d->relay->config->mode == CONFIG_MODE_SINK)
        sink(d, order);
    else if (!may_mail_all(d->relay->config, order))
        hold_back(d, order);
    else if (accounts_admit(d->relay->accounts, order, &credential))
        dispatch_go(d->relay, order, credential);
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
            dispatch_claim(d, &what);
            break;
        case QUEUE_DO_SCAN:
            dispatch_scan(d);
            break;
        case QUEUE_DO_RELEASE:
            dispatch_release(d, &what);
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

static void
keep_house(void *ctx)
{
    struct dispatch *d = ctx;

    dispatch_purge(d);
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
    queue_scheduler_limit(d->scheduler, QUEUE_ENDED, now.per_destination, 0, 0);
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
