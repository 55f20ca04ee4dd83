#include "relay/admin/routes.h"

#include "relay/admin/accounts.h"
#include "relay/admin/answer.h"
#include "relay/admin/health.h"
#include "relay/admin/metrics.h"
#include "relay/admin/status_parts.h"
#include "relay/base/mem.h"
#include "relay/daemon/dnssec.h"
#include "relay/guard/gate.h"
#include "relay/net/timer.h"
#include "relay/watch/event_hub.h"

#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

struct status_call {
    struct store_call call;
    struct relay *relay;
    struct net_http_request *request;
    char *directory;
    json_t *destinations, *recent;
    struct admin_metrics_store store;
    uint64_t ages[ADMIN_STATUS_AGES];
};

static bool
work_count(struct store_call *call, struct queue_store *store, struct err *err)
{
    struct status_call *x = own_container(call, struct status_call, call);

    admin_metrics_look_disk(&x->store, x->directory);
    return queue_store_count(store, &x->store.counts, err) &&
           admin_status_count_ages(store, net_clock_steady(), x->ages, err) &&
           admin_status_count_backlogs(json_object_get(x->destinations, "top"),
                                       store, err) &&
           admin_status_count_backlogs(x->recent, store, err);
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

/* Not there when the disk can't be asked. */
static json_t *
disk_part(const struct admin_metrics_store *s)
{
    if (!s->has_disk)
        return json_null();
    return json_pack("{s:I, s:I, s:I, s:I}", "free", (json_int_t)s->disk_free,
                     "size", (json_int_t)s->disk_size, "database",
                     (json_int_t)s->database, "wal", (json_int_t)s->wal);
}

/* What the page shows besides, most of which `sealpost status` does without. */
static void
add_more(json_t *whole, const struct status_call *x)
{
    const struct relay *relay = x->relay;
    bool is_report = relay->config->policy.enforce == CONFIG_ENFORCE_REPORT;

    json_object_set_new(whole, "not_ready",
                        json_string(admin_health_trouble(relay)));
    json_object_set_new(whole, "enforce",
                        json_string(is_report ? "report" : "strict"));
    json_object_set_new(whole, "reload_is_good",
                        json_boolean(atomic_load(&relay->reload_is_good)));
    json_object_set_new(whole, "ages", admin_status_ages(x->ages));
    json_object_set_new(whole, "recent", json_incref(x->recent));
    json_object_set_new(whole, "exemptions", admin_status_exemptions(relay));
    json_object_set_new(whole, "certificates",
                        admin_status_certificates(relay));
    json_object_set_new(whole, "open_warnings",
                        json_integer((json_int_t)relay->open_warnings));
    json_object_set_new(whole, "disk", disk_part(&x->store));
}

static json_t *
status(const struct status_call *x)
{
    const struct relay *relay = x->relay;
    json_t *whole;
    const struct config *c = relay->config;
    int64_t up_ms = net_clock_steady() - relay->started_ms;

    whole = json_pack(
        "{s:s, s:s, s:o, s:s, s:o, s:i, s:o, s:I, s:i, s:I, s:o, s:o, s:o,"
        " s:o, s:o, s:o, s:o, s:i, s:o}",
        "version", SEALPOST_VERSION, "state", admin_relay_state(relay),
        "hostname", admin_text(c->hostname), "mode", config_mode_name(c->mode),
        "redirect_to",
        admin_text(c->mode == CONFIG_MODE_REDIRECT ? c->redirect_to : ""),
        "pid", (int)getpid(), "up_since", admin_time(relay->started_ms), "up_s",
        (json_int_t)(up_ms / 1000), "sessions", (int)gate_count(relay->gate),
        "commits", (json_int_t)store_thread_commits(relay->store), "queue",
        queue_part(&x->store.counts), "counters", counters_part(relay->metrics),
        "destinations", json_incref(x->destinations), "dnssec",
        dnssec_part(relay->dnssec), "refusals", admin_status_refusals(relay),
        "expiring", admin_status_expiring(relay), "accounts",
        admin_accounts(relay), "event_readers",
        (int)event_hub_count(relay->event_hub), "webhooks",
        admin_status_webhooks(relay));
    add_more(whole, x);
    return whole;
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
        admin_answer_json(x->request, 200, status(x));
    json_decref(x->destinations);
    json_decref(x->recent);
    free(x->directory);
    free(x);
}

void
admin_status(struct relay *relay, struct net_http_request *r, const char *name)
{
    struct status_call *x = mem_new(struct status_call);

    (void)name;
    x->relay = relay;
    x->request = r;
    x->destinations = admin_status_destinations(relay);
    x->recent = admin_status_recent(relay);
    x->directory = mem_text(relay->config->state_directory);
    x->call.work = work_count;
    x->call.task.run = counted;
    x->call.home = &relay->inbox;
    store_thread_post(relay->store, &x->call);
}
