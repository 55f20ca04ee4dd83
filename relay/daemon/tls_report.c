#include "relay/daemon/tls_report.h"

#include "policy/tlsrpt.h"
#include "relay/base/mem.h"
#include "relay/daemon/dnssec.h"
#include "relay/daemon/tls_courier.h"
#include "relay/daemon/tls_result.h"

#include <stdio.h>
#include <stdlib.h>

static const int64_t DAY_MS = 86400 * INT64_C(1000);

struct tls_report {
    struct relay *relay;
    struct net_timer *timer;
    int64_t due_ms; /* wall clock, of the next round */
    int64_t again_ms;
    struct round *round; /* under way */
};

/* One count out of the store. */
struct item {
    char *key;
    struct buf count;
};

/* All counts of some days, one after the other. */
struct round {
    struct store_call call;
    struct tls_report *owner;
    char from[POLICY_TLSRPT_DAY_SIZE];  /* keys from this on, "" all */
    char until[POLICY_TLSRPT_DAY_SIZE]; /* and before this day */
    char *after;                        /* the last key that was read */
    struct item items[TLS_REPORT_BATCH];
    size_t count, next, rows; /* rows: that the last page had */

    struct net_dns *dns;
    struct net_tls *tls;
    struct tls_courier *courier;
    struct tls_report_sums sums;
    void (*done)(void *ctx, const struct tls_report_sums *s);
    void *ctx;
};

static void next_item(struct round *x);

int64_t
tls_report_due_ms(int64_t now_ms, int64_t covered_ms, uint32_t random)
{
    int64_t midnight =
        covered_ms > 0 ? covered_ms + DAY_MS : now_ms - now_ms % DAY_MS;
    int64_t due = midnight + random % TLS_REPORT_SPREAD_MS;
    int64_t soon = now_ms + random % TLS_REPORT_START_MS;

    return due > soon ? due : soon;
}

/* --- one round --------------------------------------------------------- */

static void
clear_items(struct round *x)
{
    for (; x->count > 0; x->count--) {
        free(x->items[x->count - 1].key);
        buf_free(&x->items[x->count - 1].count);
        x->items[x->count - 1] = (struct item){0};
    }
    x->next = 0;
}

static void
free_round(struct round *x)
{
    tls_courier_cancel(&x->courier);
    net_dns_free(&x->dns);
    net_tls_free(&x->tls);
    clear_items(x);
    free(x->after);
    free(x);
}

/* The wall clock says when: it may be set, and the timer stands still while the
 * machine sleeps.  So it is looked at now and then. */
static void
set_timer(struct tls_report *t, int64_t due_ms)
{
    int64_t left_ms = due_ms - net_clock_wall();

    t->due_ms = due_ms;
    if (left_ms > TLS_REPORT_LOOK_MS)
        left_ms = TLS_REPORT_LOOK_MS;
    net_timer_set(t->timer, left_ms > 0 ? (uint64_t)left_ms : 0);
}

static void
set_next(struct tls_report *t, int64_t covered_ms)
{
    set_timer(t, tls_report_due_ms(net_clock_wall(), covered_ms, arc4random()));
}

/* Tries what is left again, but for the rounds that somebody asked for. */
static void
end_round(struct round *x)
{
    struct tls_report *t = x->owner;
    struct tls_report_sums sums = x->sums;
    void (*done)(void *, const struct tls_report_sums *) = x->done;
    void *ctx = x->ctx;
    int64_t covered_ms = 0;

    (void)policy_tlsrpt_day_parse(slice_of(x->until), &covered_ms);
    t->round = NULL;
    free_round(x);
    if (done) {
        done(ctx, &sums);
        return;
    }
    if (sums.failed == 0) {
        t->again_ms = TLS_REPORT_AGAIN_MS;
        set_next(t, covered_ms);
        return;
    }
    set_timer(t, net_clock_wall() + t->again_ms);
    if (t->again_ms < TLS_REPORT_AGAIN_MAX_MS)
        t->again_ms *= 2;
}

static void
keep_item(void *ctx, const char *key, struct slice value)
{
    struct round *x = ctx;

    x->rows++;
    if (strncmp(key, x->until, strlen(x->until)) >= 0)
        return;
    x->items[x->count].key = mem_text(key);
    buf_add(&x->items[x->count++].count, value);
}

static bool
work_page(struct store_call *call, struct queue_store *store, struct err *err)
{
    struct round *x = own_container(call, struct round, call);

    clear_items(x);
    x->rows = 0;
    return queue_store_shelf_list(store, TLS_RESULT_SHELF, x->after, INT64_MAX,
                                  TLS_REPORT_BATCH, keep_item, x, err);
}

static void
page_read(struct task *task)
{
    struct round *x = own_container(task, struct round, call.task);

    if (x->call.failed)
        x->sums.failed++;
    next_item(x);
}

static void
read_page(struct round *x)
{
    x->call = (struct store_call){0};
    x->call.work = work_page;
    x->call.task.run = page_read;
    x->call.home = &x->owner->relay->inbox;
    store_thread_post(x->owner->relay->store, &x->call);
}

/* --- one count --------------------------------------------------------- */

struct drop_call {
    struct store_call call;
    char *key;
};

static bool
work_drop(struct store_call *call, struct queue_store *store, struct err *err)
{
    struct drop_call *x = own_container(call, struct drop_call, call);

    return queue_store_shelf_drop(store, TLS_RESULT_SHELF, x->key, err);
}

/* On the store thread. */
static void
dropped(struct task *task)
{
    struct drop_call *x = own_container(task, struct drop_call, call.task);

    free(x->key);
    free(x);
}

/* RFC 8460 section 5.2: after a day of trying in vain it is of no use. */
static void
drop_if_old(const struct round *x, const struct item *item)
{
    struct slice day =
        slice_first(slice_of(item->key), POLICY_TLSRPT_DAY_SIZE - 1);
    struct drop_call *call;
    int64_t day_ms;

    if (policy_tlsrpt_day_parse(day, &day_ms) &&
        net_clock_wall() < day_ms + DAY_MS + TLS_REPORT_KEEP_MS)
        return;
    call = mem_new(struct drop_call);
    call->call.work = work_drop;
    call->call.task.run = dropped;
    call->key = mem_text(item->key);
    store_thread_post(x->owner->relay->store, &call->call);
}

static void
item_done(void *ctx, enum tls_courier_end end)
{
    struct round *x = ctx;

    switch (end) {
    case TLS_COURIER_SENT:
        x->sums.sent++;
        break;
    case TLS_COURIER_UNWANTED:
        x->sums.unwanted++;
        break;
    case TLS_COURIER_FAILED:
        x->sums.failed++;
        drop_if_old(x, &x->items[x->next]);
        break;
    }
    x->next++;
    next_item(x);
}

static void
start_item(struct round *x)
{
    const struct item *item = &x->items[x->next];
    struct tls_courier_job job = {
        .relay = x->owner->relay,
        .dns = x->dns,
        .tls = x->tls,
        .key = item->key,
        .count = buf_slice(&item->count),
    };

    tls_courier_start(&x->courier, &job, item_done, x);
}

static void
next_item(struct round *x)
{
    if (x->next < x->count && !atomic_load(&x->owner->relay->is_draining)) {
        start_item(x);
        return;
    }
    if (x->rows < TLS_REPORT_BATCH || x->count < x->rows ||
        atomic_load(&x->owner->relay->is_draining)) {
        end_round(x);
        return;
    }
    free(x->after);
    x->after = mem_text(x->items[x->count - 1].key);
    read_page(x);
}

/* --- when -------------------------------------------------------------- */

static struct round *
new_round(struct tls_report *t)
{
    const struct config *c = t->relay->config;
    struct net_dns_config dns = dnssec_config(c, DNSSEC_OFF);
    struct round *x = mem_new(struct round);
    struct log_line line;
    struct err err;

    x->owner = t;
    x->dns = net_dns_new(&t->relay->loop, &dns, &err);
    x->tls = x->dns ? net_tls_client(c->policy.https_ca, &err) : NULL;
    if (x->tls)
        return x;
    log_begin(&line, t->relay->log, LOG_LEVEL_ERROR, "tlsrpt.sent");
    log_text(&line, "result", "failed");
    log_text(&line, "reason", err.text);
    log_end(&line);
    free_round(x);
    return NULL;
}

static void
begin_round(struct round *x)
{
    x->owner->round = x;
    x->after = mem_text(x->from);
    read_page(x);
}

static void
tick(void *ctx)
{
    struct tls_report *t = ctx;
    struct round *x = NULL;

    if (net_clock_wall() < t->due_ms) {
        set_timer(t, t->due_ms);
        return;
    }
    if (!t->round && t->relay->config->tlsrpt.enabled &&
        !atomic_load(&t->relay->is_draining))
        x = new_round(t);
    if (!x) {
        set_timer(t, net_clock_wall() + TLS_REPORT_AGAIN_MS);
        return;
    }
    policy_tlsrpt_day(net_clock_wall(), x->until);
    begin_round(x);
}

bool
tls_report_send(struct tls_report *t, const char *day,
                void (*done)(void *ctx, const struct tls_report_sums *s),
                void *ctx)
{
    struct round *x = NULL;
    int64_t day_ms;

    if (!t->round && policy_tlsrpt_day_parse(slice_of(day), &day_ms) &&
        !atomic_load(&t->relay->is_draining))
        x = new_round(t);
    if (!x)
        return false;
    /* Keys are "DAY DOMAIN": those behind DAY, and before the next. */
    policy_tlsrpt_day(day_ms, x->from);
    policy_tlsrpt_day(day_ms + DAY_MS, x->until);
    x->done = done;
    x->ctx = ctx;
    begin_round(x);
    return true;
}

struct tls_report *
tls_report_new(struct relay *relay)
{
    struct tls_report *t = mem_new(struct tls_report);

    t->relay = relay;
    t->again_ms = TLS_REPORT_AGAIN_MS;
    t->timer = net_timer_new(&relay->loop, tick, t);
    set_next(t, 0);
    return t;
}

void
tls_report_free(struct tls_report **place)
{
    struct tls_report *t = take(place);

    if (!t)
        return;
    if (t->round && t->round->done)
        t->round->done(t->round->ctx, &t->round->sums);
    if (t->round)
        free_round(t->round);
    net_timer_free(&t->timer);
    free(t);
}
