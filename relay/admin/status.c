#include "relay/admin/routes.h"

#include "relay/admin/accounts.h"
#include "relay/admin/answer.h"
#include "relay/admin/status_parts.h"
#include "relay/base/mem.h"
#include "relay/daemon/dispatch.h"
#include "relay/daemon/dnssec.h"
#include "relay/daemon/event_hub.h"
#include "relay/daemon/gate.h"
#include "relay/net/timer.h"

#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

enum { DESTINATIONS_MAX = 20 }; /* shown */

struct status_call {
    struct store_call call;
    struct relay *relay;
    struct net_http_request *request;
    struct queue_counts counts;
};

static bool
work_count(struct store_call *call, struct queue_store *store, struct err *err)
{
    struct status_call *x = own_container(call, struct status_call, call);

    return queue_store_count(store, &x->counts, err);
}

static json_t *
queue_part(const struct queue_counts *c)
{
    const uint64_t *n = c->by_state;

    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o}", "messages",
                     (json_int_t)c->messages, "recipients",
                     (json_int_t)c->recipients, "octets", (json_int_t)c->octets,
                     "queued", (json_int_t)n[QUEUE_STATE_QUEUED], "active",
                     (json_int_t)n[QUEUE_STATE_ACTIVE], "deferred",
                     (json_int_t)n[QUEUE_STATE_DEFERRED], "held",
                     (json_int_t)n[QUEUE_STATE_HELD], "oldest",
                     admin_time(c->oldest_ms));
}

static json_t *
counters_part(struct metric_set *m)
{
    static const struct {
        const char *name;
        enum metrics_family family;
        const char *label;
    } rows[] = {
        {"accepted", METRICS_ACCEPTED, NULL},
        {"refused", METRICS_REFUSED, NULL},
        {"sent", METRICS_RESULTS, "sent"},
        {"deferred", METRICS_RESULTS, "deferred"},
        {"bounced", METRICS_RESULTS, "bounced"},
        {"expired", METRICS_RESULTS, "expired"},
        {"connections_in", METRICS_CONNECTIONS_IN, NULL},
        {"connections_out", METRICS_CONNECTIONS_OUT, "new"},
        {"connections_reused", METRICS_CONNECTIONS_OUT, "reused"},
        {"policy_refusals", METRICS_REFUSALS, NULL},
        {"policy_shadowed", METRICS_SHADOWS, NULL},
    };
    json_t *part = json_object();

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        json_object_set_new(part, rows[i].name,
                            json_integer((json_int_t)metric_total(
                                m, rows[i].family, rows[i].label)));
    return part;
}

/* The busiest destinations so far, blocked ones first. */
struct top {
    struct queue_destination_row row[DESTINATIONS_MAX];
    size_t count, all;
};

static bool
is_before(const struct queue_destination_row *a,
          const struct queue_destination_row *b)
{
    if (!a->blocked_until_ms != !b->blocked_until_ms)
        return a->blocked_until_ms != 0;
    return a->waiting + a->active > b->waiting + b->active;
}

static void
add_destination(void *ctx, const struct queue_destination_row *row)
{
    struct top *t = ctx;
    size_t i;

    t->all++;
    if (t->count < DESTINATIONS_MAX)
        t->count++;
    else if (!is_before(row, &t->row[DESTINATIONS_MAX - 1]))
        return;
    for (i = t->count - 1; i > 0 && is_before(row, &t->row[i - 1]); i--)
        t->row[i] = t->row[i - 1];
    t->row[i] = *row;
}

static json_t *
destinations_part(const struct relay *relay)
{
    struct top top = {0};
    json_t *list = json_array();

    queue_scheduler_each(dispatch_scheduler(relay->dispatch), add_destination,
                         &top);
    for (size_t i = 0; i < top.count; i++) {
        const struct queue_destination_row *row = &top.row[i];

        json_array_append_new(
            list, json_pack("{s:o, s:I, s:b, s:i, s:i, s:i, s:o, s:o}", "name",
                            admin_text(row->name), "waiting",
                            (json_int_t)row->waiting, "more", row->more,
                            "active", (int)row->active, "failures",
                            (int)row->failures, "eased", (int)row->eased,
                            "blocked_until", admin_time(row->blocked_until_ms),
                            "why", admin_text(row->why)));
    }
    return json_pack("{s:I, s:o}", "count", (json_int_t)top.all, "top", list);
}

const char *
admin_relay_state(const struct relay *relay)
{
    if (atomic_load(&relay->is_draining))
        return "draining";
    return atomic_load(&relay->store_is_healthy) ? "running" : "store trouble";
}

static json_t *
dnssec_part(const struct dnssec *d)
{
    return json_pack("{s:s, s:o}", "way", dnssec_way_name(dnssec_way(d)),
                     "reason", admin_text(dnssec_why(d)));
}

static json_t *
status(const struct relay *relay, const struct queue_counts *counts)
{
    const struct config *c = relay->config;
    int64_t up_ms = net_clock_steady() - relay->started_ms;

    return json_pack(
        "{s:s, s:s, s:o, s:s, s:o, s:i, s:o, s:I, s:i, s:I, s:o, s:o, s:o,"
        " s:o, s:o, s:o, s:o, s:i}",
        "version", SEALPOST_VERSION, "state", admin_relay_state(relay),
        "hostname", admin_text(c->hostname), "mode", config_mode_name(c->mode),
        "redirect_to",
        admin_text(c->mode == CONFIG_MODE_REDIRECT ? c->redirect_to : ""),
        "pid", (int)getpid(), "up_since", admin_time(relay->started_ms), "up_s",
        (json_int_t)(up_ms / 1000), "sessions", (int)gate_count(relay->gate),
        "commits", (json_int_t)store_thread_commits(relay->store), "queue",
        queue_part(counts), "counters", counters_part(relay->metrics),
        "destinations", destinations_part(relay), "dnssec",
        dnssec_part(relay->dnssec), "refusals", admin_status_refusals(relay),
        "expiring", admin_status_expiring(relay), "accounts",
        admin_accounts(relay), "event_readers",
        (int)event_hub_count(relay->event_hub));
}

static void
counted(struct task *task)
{
    struct status_call *x = own_container(task, struct status_call, call.task);

    if (x->call.failed)
        admin_answer_failure(x->request, &x->call.err);
    else if (!x->relay->store)
        admin_answer_error(x->request, 503, "the relay is at its end");
    else
        admin_answer_json(x->request, 200, status(x->relay, &x->counts));
    free(x);
}

void
admin_status(struct relay *relay, struct net_http_request *r, const char *name)
{
    struct status_call *x = mem_new(struct status_call);

    (void)name;
    x->relay = relay;
    x->request = r;
    x->call.work = work_count;
    x->call.task.run = counted;
    x->call.home = &relay->inbox;
    store_thread_post(relay->store, &x->call);
}
