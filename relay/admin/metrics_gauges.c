#include "relay/admin/metrics.h"

#include "relay/admin/accounts.h"
#include "relay/base/mem.h"
#include "relay/base/own.h"
#include "relay/daemon/cert_watch.h"
#include "relay/daemon/dnssec.h"
#include "relay/daemon/expiring.h"
#include "relay/daemon/sts_shelf.h"
#include "relay/guard/gate.h"
#include "relay/net/timer.h"
#include "relay/watch/doubt.h"

#include <sys/stat.h>
#include <sys/statvfs.h>

#define LABELS(...) ((const char *const[]){__VA_ARGS__})

#define add admin_metrics_add

void
admin_metrics_add(struct metric_page *p, const char *name, const char *help,
                  double value)
{
    struct metric_family f = {name, help, METRIC_GAUGE, {NULL}};

    metric_page_family(p, &f);
    metric_page_sample(p, &f, NULL, value);
}

/* --- the queue --- */

static uint64_t
octets_of(const char *directory, const char *name)
{
    char *path scoped(own_free) = mem_printf("%s/%s", directory, name);
    struct stat st;

    return stat(path, &st) == 0 ? (uint64_t)st.st_size : 0;
}

void
admin_metrics_look_disk(struct admin_metrics_store *out,
                        const char *state_directory)
{
    struct statvfs fs;

    *out = (struct admin_metrics_store){0};
    if (statvfs(state_directory, &fs) == 0) {
        out->has_disk = true;
        out->disk_free = (uint64_t)fs.f_bavail * fs.f_frsize;
        out->disk_size = (uint64_t)fs.f_blocks * fs.f_frsize;
    }
    out->database = octets_of(state_directory, "queue.db");
    out->wal = octets_of(state_directory, "queue.db-wal");
}

/* One at a time: meanwhile no claim changes, so that nobody is counted in two
 * states. */
struct doubt_look {
    const struct queue_store *store;
    struct queue_counts *counts;
};

static void
count_doubt(void *ctx, uint64_t message, const uint32_t *numbers, size_t count)
{
    const struct doubt_look *x = ctx;

    queue_store_count_doubt(x->store, message, numbers, count, x->counts);
}

bool
admin_metrics_look(struct admin_metrics_store *out, struct queue_store *store,
                   const struct relay *relay, const char *state_directory,
                   struct err *err)
{
    struct doubt_look look = {store, &out->counts};

    admin_metrics_look_disk(out, state_directory);
    if (!queue_store_count(store, &out->counts, err))
        return false;
    doubt_each(relay->doubt, count_doubt, &look);
    return queue_store_oldest(store, out->oldest_ms, err) &&
           queue_store_shelf_count(store, STS_SHELF, &out->sts_entries, err);
}

static double
age_s(int64_t arrived_ms)
{
    return arrived_ms ? (double)(net_clock_steady() - arrived_ms) / 1000 : 0;
}

static const struct {
    const char *name;
    enum queue_state state;
} states[] = {
    {"ready", QUEUE_STATE_QUEUED},
    {"active", QUEUE_STATE_ACTIVE},
    {"deferred", QUEUE_STATE_DEFERRED},
    {"held", QUEUE_STATE_HELD},
};

enum { STATES = sizeof(states) / sizeof(*states) };

#define IN_DOUBT LABELS("in_doubt")

static void
add_recipients(struct metric_page *p, const struct queue_counts *c)
{
    static const struct metric_family family = {"sealpost_queue_recipients",
                                                "Recipients in the queue.",
                                                METRIC_GAUGE,
                                                {"state"}};

    metric_page_family(p, &family);
    for (size_t i = 0; i < STATES; i++)
        metric_page_sample(p, &family, LABELS(states[i].name),
                           (double)c->by_state[states[i].state]);
    metric_page_sample(p, &family, IN_DOUBT, (double)c->in_doubt);
}

static void
add_messages(struct metric_page *p, const struct queue_counts *c)
{
    static const struct metric_family family = {
        "sealpost_queue_messages",
        "Messages in the queue, by the state of their first recipient left.",
        METRIC_GAUGE,
        {"state"}};

    metric_page_family(p, &family);
    for (size_t i = 0; i < STATES; i++)
        metric_page_sample(p, &family, LABELS(states[i].name),
                           (double)c->led[states[i].state].messages);
    metric_page_sample(p, &family, IN_DOUBT, (double)c->led_in_doubt.messages);
}

static void
add_octets(struct metric_page *p, const struct queue_counts *c)
{
    static const struct metric_family family = {
        "sealpost_queue_bytes",
        "Size of those messages, by the same state.",
        METRIC_GAUGE,
        {"state"}};

    metric_page_family(p, &family);
    for (size_t i = 0; i < STATES; i++)
        metric_page_sample(p, &family, LABELS(states[i].name),
                           (double)c->led[states[i].state].octets);
    metric_page_sample(p, &family, IN_DOUBT, (double)c->led_in_doubt.octets);
}

static void
add_queue(struct metric_page *p, const struct admin_metrics_store *store)
{
    static const struct metric_family oldest = {
        "sealpost_queue_oldest_seconds",
        "Age of the oldest message with a recipient in that state.",
        METRIC_GAUGE,
        {"state"}};

    add_recipients(p, &store->counts);
    add_messages(p, &store->counts);
    add_octets(p, &store->counts);
    metric_page_family(p, &oldest);
    for (size_t i = 0; i < STATES; i++)
        metric_page_sample(p, &oldest, LABELS(states[i].name),
                           age_s(store->oldest_ms[states[i].state]));
}

static void
add_storage(struct metric_page *p, struct relay *relay,
            const struct admin_metrics_store *s)
{
    add(p, "sealpost_storage_healthy", "1 when the store can commit.",
        atomic_load(&relay->store_is_healthy));
    add(p, "sealpost_storage_accepts_mail",
        "1 when there is room on the disk for more mail.",
        store_thread_has_room(relay->store));
    add(p, "sealpost_storage_database_bytes", "Size of queue.db.",
        (double)s->database);
    add(p, "sealpost_storage_wal_bytes", "Size of its write-ahead log.",
        (double)s->wal);
    if (!s->has_disk)
        return;
    add(p, "sealpost_disk_free_bytes",
        "Free for us on the file system of the state directory.",
        (double)s->disk_free);
    add(p, "sealpost_disk_size_bytes", "Its size.", (double)s->disk_size);
}

/* --- the relay --- */

static void
add_mode(struct metric_page *p, enum config_mode mode)
{
    static const struct metric_family family = {
        "sealpost_mode",
        "1 for the mode that the relay is in.",
        METRIC_GAUGE,
        {"mode"}};
    static const char *const names[] = {
        [CONFIG_MODE_LIVE] = "live",
        [CONFIG_MODE_REDIRECT] = "redirect",
        [CONFIG_MODE_SINK] = "sink",
    };

    metric_page_family(p, &family);
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        metric_page_sample(p, &family, LABELS(names[i]), i == (size_t)mode);
}

static void
add_dnssec(struct metric_page *p, const struct dnssec *d)
{
    static const struct metric_family family = {
        "sealpost_resolver_dnssec_ok",
        "1 when DNS answers can be authenticated, and how.",
        METRIC_GAUGE,
        {"way"}};

    metric_page_family(p, &family);
    metric_page_sample(p, &family, LABELS(dnssec_way_name(dnssec_way(d))),
                       dnssec_way(d) != DNSSEC_OFF);
}

static void
add_build(struct metric_page *p)
{
    static const struct metric_family family = {
        "sealpost_build_info",
        "Always 1; the version is in the label.",
        METRIC_GAUGE,
        {"version"}};

    metric_page_family(p, &family);
    metric_page_sample(p, &family, LABELS(SEALPOST_VERSION), 1);
}

static void
add_certificates(struct metric_page *p, const struct relay *relay)
{
    static const struct metric_family family = {
        "sealpost_tls_cert_expiry_timestamp_seconds",
        "When a certificate that clients are shown ends.",
        METRIC_GAUGE,
        {"cert"}};
    const struct server_tls_facts *facts = cert_watch_facts(relay->cert_watch);

    metric_page_family(p, &family);
    for (size_t i = 0; i < facts->count; i++)
        metric_page_sample(p, &family, LABELS(facts->end[i].file),
                           (double)facts->end[i].not_after);
}

static void
add_connections(struct metric_page *p, const struct relay *relay)
{
    static const struct metric_family family = {"sealpost_smtp_connections",
                                                "Connections of clients now.",
                                                METRIC_GAUGE,
                                                {"listener"}};
    const struct config *c = relay->config;

    metric_page_family(p, &family);
    for (size_t i = 0; i < c->listener_count; i++)
        metric_page_sample(p, &family, LABELS(c->listener[i].name),
                           gate_count_at(relay->gate, c->listener[i].name));
}

void
admin_metrics_gauges(struct metric_page *page, struct relay *relay,
                     const struct admin_metrics_store *store)
{
    add_queue(page, store);
    admin_metrics_routes(page, relay);
    add_storage(page, relay, store);
    add_connections(page, relay);
    add_certificates(page, relay);
    add_dnssec(page, relay->dnssec);
    add(page, "sealpost_sts_cache_entries", "MTA-STS policies that are kept.",
        (double)store->sts_entries);
    add(page, "sealpost_sts_policies_expiring",
        "MTA-STS policies that end within a week and can't be fetched anew.",
        (double)expiring_count(relay->expiring));
    admin_accounts_gauges(page, relay);
    admin_webhooks_gauges(page, relay);
    add_mode(page, relay->config->mode);
    add(page, "sealpost_draining", "1 when no more mail is taken.",
        atomic_load(&relay->is_draining));
    add(page, "sealpost_config_last_reload_successful",
        "1 unless the last reload failed.",
        atomic_load(&relay->reload_is_good));
    add(page, "sealpost_open_relay_warnings",
        "Networks in access.networks that strangers may seem to be in.",
        (double)relay->open_warnings);
    add_build(page);
    admin_metrics_process(page, relay);
}
