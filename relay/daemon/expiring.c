#include "relay/daemon/expiring.h"

#include "relay/base/mem.h"
#include "relay/daemon/sts_shelf.h"
#include "relay/net/timer.h"

#include <stdlib.h>

static const int64_t DAY_MS = 86400 * INT64_C(1000);

struct rows {
    struct expiring_row *row; /* EXPIRING_MAX of them; by domain */
    size_t kept, count;
};

struct expiring {
    struct relay *relay;
    struct net_timer *timer;
    struct rows found;
    bool is_under_way;
};

/* One look through the whole cache, page by page. */
struct look {
    struct store_call call;
    struct expiring *owner;
    int64_t now_ms;
    char *after;
    size_t seen; /* of the last page */
    struct rows found;
};

bool
expiring_is_soon(const struct policy_sts_entry *e, int64_t now_ms)
{
    struct policy_sts policy;
    struct err err;
    bool is_none;

    if (!e->failure || !e->text || e->expires_ms <= now_ms ||
        e->expires_ms - now_ms > EXPIRING_SOON_MS ||
        !policy_sts_parse(slice_of(e->text), &policy, &err))
        return false;
    is_none = policy.mode == POLICY_STS_NONE;
    policy_sts_done(&policy);
    return !is_none;
}

static void
empty(struct rows *r)
{
    for (size_t i = 0; i < r->kept; i++) {
        free(r->row[i].domain);
        free(r->row[i].failure);
    }
    free(r->row);
    *r = (struct rows){0};
}

/* --- on the store thread --- */

static void
keep(struct rows *r, const struct policy_sts_entry *e)
{
    if (!r->row)
        r->row = mem_array(struct expiring_row, EXPIRING_MAX);
    if (r->count++ >= EXPIRING_MAX)
        return;
    r->row[r->kept++] = (struct expiring_row){
        .domain = mem_text(e->domain.text),
        .failure = mem_text(e->failure),
        .expires_ms = e->expires_ms,
    };
}

static void
look_at(void *ctx, const char *domain, struct slice value)
{
    struct look *x = ctx;
    struct policy_sts_entry e = {0};
    struct err err;

    x->seen++;
    free(x->after);
    x->after = mem_text(domain);
    if (!sts_shelf_parse(domain, value, &e, &err))
        return;
    if (expiring_is_soon(&e, x->now_ms))
        keep(&x->found, &e);
    policy_sts_entry_done(&e);
}

static bool
work_page(struct store_call *call, struct queue_store *store, struct err *err)
{
    struct look *x = own_container(call, struct look, call);
    char *from scoped(own_free) = mem_text(x->after);

    x->seen = 0;
    return queue_store_shelf_list(store, STS_SHELF, from, INT64_MAX,
                                  EXPIRING_BATCH, look_at, x, err);
}

/* --- back home --- */

static const struct expiring_row *
find(const struct rows *r, const char *domain)
{
    size_t from = 0, to = r->kept;

    while (from < to) {
        size_t middle = from + (to - from) / 2;
        int order = strcmp(domain, r->row[middle].domain);

        if (order == 0)
            return &r->row[middle];
        if (order < 0)
            to = middle;
        else
            from = middle + 1;
    }
    return NULL;
}

static void
say(struct expiring *e, struct expiring_row *row, int64_t now_ms)
{
    struct log_line line;

    row->said_ms = now_ms;
    log_begin(&line, e->relay->log, LOG_LEVEL_WARNING, "policy.failure");
    log_text(&line, "domain", row->domain);
    log_int(&line, "expires_in_s", (row->expires_ms - now_ms) / 1000);
    log_text(&line, "reason", row->failure);
    log_end(&line);
}

static void
take_over(struct look *x)
{
    struct expiring *e = x->owner;

    for (size_t i = 0; i < x->found.kept; i++) {
        struct expiring_row *row = &x->found.row[i];
        const struct expiring_row *was = find(&e->found, row->domain);

        if (was && x->now_ms - was->said_ms < DAY_MS)
            row->said_ms = was->said_ms;
        else
            say(e, row, x->now_ms);
    }
    empty(&e->found);
    e->found = x->found;
    x->found = (struct rows){0};
}

static void read_page(struct look *x);

static void
page_read(struct task *task)
{
    struct look *x = own_container(task, struct look, call.task);
    bool is_ending = atomic_load(&x->owner->relay->is_draining);

    if (!x->call.failed && !is_ending && x->seen == EXPIRING_BATCH) {
        read_page(x);
        return;
    }
    if (!x->call.failed && !is_ending)
        take_over(x);
    x->owner->is_under_way = false;
    empty(&x->found);
    free(x->after);
    free(x);
}

static void
read_page(struct look *x)
{
    x->call = (struct store_call){0};
    x->call.work = work_page;
    x->call.task.run = page_read;
    x->call.home = &x->owner->relay->inbox;
    store_thread_post(x->owner->relay->store, &x->call);
}

static void
tick(void *ctx)
{
    struct expiring *e = ctx;
    struct look *x;

    net_timer_set(e->timer, EXPIRING_TICK_MS);
    if (e->is_under_way || atomic_load(&e->relay->is_draining))
        return;
    e->is_under_way = true;
    x = mem_new(struct look);
    x->owner = e;
    x->after = mem_text("");
    x->now_ms = net_clock_steady();
    read_page(x);
}

struct expiring *
expiring_new(struct relay *relay)
{
    struct expiring *e = mem_new(struct expiring);

    e->relay = relay;
    e->timer = net_timer_new(&relay->loop, tick, e);
    net_timer_set(e->timer, 0);
    return e;
}

void
expiring_free(struct expiring **place)
{
    struct expiring *e = take(place);

    if (!e)
        return;
    net_timer_free(&e->timer);
    empty(&e->found);
    free(e);
}

size_t
expiring_count(const struct expiring *e)
{
    return e->found.count;
}

const struct expiring_row *
expiring_rows(const struct expiring *e, size_t *n)
{
    *n = e->found.kept;
    return e->found.row;
}
