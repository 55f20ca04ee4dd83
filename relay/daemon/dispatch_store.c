#include "relay/daemon/dispatch_inside.h"

#include "relay/base/mem.h"
#include "relay/daemon/release.h"
#include "relay/net/timer.h"

#include <stdlib.h>

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

void
dispatch_claim(struct dispatch *d, const struct queue_do *what)
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

void
dispatch_scan(struct dispatch *d)
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

void
dispatch_release(struct dispatch *d, const struct queue_do *what)
{
    d->calls++;
    release_start(d->relay, what->id, what->numbers, what->count, released, d);
}

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

void
dispatch_purge(struct dispatch *d)
{
    const struct config *c = d->relay->config;
    struct purge_call *x = mem_new(struct purge_call);

    x->before_ms = net_clock_steady() - c->history.keep_ms;
    x->rows_max = c->history.rows_max;
    post(d, &x->base, work_purge, purge_done);
}
