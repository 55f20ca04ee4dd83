#include "relay/admin/metrics.h"

#include "relay/admin/accounts.h"
#include "relay/base/mem.h"
#include "relay/base/own.h"
#include "relay/daemon/dispatch.h"
#include "relay/daemon/dnssec.h"
#include "relay/daemon/expiring.h"
#include "relay/daemon/gate.h"
#include "relay/net/timer.h"

#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

enum { DESTINATIONS_MAX = 20 }; /* named; no page grows with the queue */

#define LABELS(...) ((const char *const[]){__VA_ARGS__})

static void
add(struct metric_page *p, const char *name, const char *help, double value)
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

bool
admin_metrics_look(struct admin_metrics_store *out, struct queue_store *store,
                   const char *state_directory, struct err *err)
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
    return queue_store_count(store, &out->counts, err);
}

static void
add_queue(struct metric_page *p, const struct queue_counts *c)
{
    static const struct metric_family recipients = {"sealpost_queue_recipients",
                                                    "Recipients in the queue.",
                                                    METRIC_GAUGE,
                                                    {"state"}};
    static const struct {
        const char *name;
        enum queue_state state;
    } states[] = {
        {"queued", QUEUE_STATE_QUEUED},
        {"active", QUEUE_STATE_ACTIVE},
        {"deferred", QUEUE_STATE_DEFERRED},
        {"held", QUEUE_STATE_HELD},
    };
    int64_t age_ms = c->oldest_ms ? net_clock_steady() - c->oldest_ms : 0;

    metric_page_family(p, &recipients);
    for (size_t i = 0; i < sizeof(states) / sizeof(*states); i++)
        metric_page_sample(p, &recipients, LABELS(states[i].name),
                           (double)c->by_state[states[i].state]);
    add(p, "sealpost_queue_messages", "Messages in the queue.",
        (double)c->messages);
    add(p, "sealpost_queue_bytes", "Octets of the messages in the queue.",
        (double)c->octets);
    add(p, "sealpost_queue_oldest_seconds",
        "Age of the oldest message in the queue; 0 when it is empty.",
        (double)age_ms / 1000);
}

/* The destinations with most recipients in memory, as `status` shows them. */
struct top {
    struct {
        char name[256];
        size_t waiting;
        bool is_blocked;
    } row[DESTINATIONS_MAX];
    size_t count, all, blocked;
};

static void
look_at(void *ctx, const struct queue_destination_row *row)
{
    struct top *t = ctx;
    size_t waiting = row->waiting + row->active, i;

    t->all++;
    t->blocked += row->blocked_until_ms != 0;
    if (t->count < DESTINATIONS_MAX)
        t->count++;
    else if (waiting <= t->row[DESTINATIONS_MAX - 1].waiting)
        return;
    for (i = t->count - 1; i > 0 && waiting > t->row[i - 1].waiting; i--)
        t->row[i] = t->row[i - 1];
    (void)snprintf(t->row[i].name, sizeof(t->row[i].name), "%s", row->name);
    t->row[i].waiting = waiting;
    t->row[i].is_blocked = row->blocked_until_ms != 0;
}

static void
add_destinations(struct metric_page *p, struct relay *relay)
{
    static const struct metric_family family = {
        "sealpost_queue_destination_recipients",
        "Recipients in memory for the busiest destinations.",
        METRIC_GAUGE,
        {"destination", "blocked"}};
    struct top t = {0};

    queue_scheduler_each(dispatch_scheduler(relay->dispatch), look_at, &t);
    metric_page_family(p, &family);
    for (size_t i = 0; i < t.count; i++)
        metric_page_sample(
            p, &family,
            LABELS(t.row[i].name, t.row[i].is_blocked ? "yes" : "no"),
            (double)t.row[i].waiting);
    add(p, "sealpost_destinations", "Destinations with work at hand.",
        (double)t.all);
    add(p, "sealpost_destinations_blocked",
        "Destinations that wait because they can't be reached or have failed.",
        (double)t.blocked);
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

static double
seconds(struct timeval t)
{
    return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

/* By the names that every exporter uses. */
static void
add_process(struct metric_page *p, const struct relay *relay)
{
    static const struct metric_family cpu = {
        "process_cpu_seconds",
        "Processor time of user and system.",
        METRIC_COUNTER,
        {NULL}};
    struct rusage use = {0};
    size_t resident = 0;

    (void)getrusage(RUSAGE_SELF, &use);
    (void)uv_resident_set_memory(&resident);
    metric_page_family(p, &cpu);
    metric_page_sample(p, &cpu, NULL,
                       seconds(use.ru_utime) + seconds(use.ru_stime));
    add(p, "process_resident_memory_bytes", "Memory that is in use.",
        (double)resident);
    add(p, "process_start_time_seconds", "When the relay was started.",
        (double)relay->started_ms / 1000);
}

/* Nothing to tell where there is none. */
static void
add_certificate(struct metric_page *p, struct relay *relay)
{
    int64_t end = atomic_load(&relay->certificate_not_after);

    if (end != 0)
        add(p, "sealpost_certificate_expiry_timestamp_seconds",
            "When the first certificate that clients are shown ends.",
            (double)end);
}

void
admin_metrics_gauges(struct metric_page *page, struct relay *relay,
                     const struct admin_metrics_store *store)
{
    add_queue(page, &store->counts);
    add_destinations(page, relay);
    add_storage(page, relay, store);
    add(page, "sealpost_smtp_connections", "Connections of clients now.",
        gate_count(relay->gate));
    add_certificate(page, relay);
    add_dnssec(page, relay->dnssec);
    add(page, "sealpost_sts_policies_expiring",
        "MTA-STS policies that end within a week and can't be fetched anew.",
        (double)expiring_count(relay->expiring));
    admin_accounts_gauges(page, relay);
    add_mode(page, relay->config->mode);
    add(page, "sealpost_draining", "1 when no more mail is taken.",
        atomic_load(&relay->is_draining));
    add(page, "sealpost_config_last_reload_successful",
        "1 unless the last reload failed.",
        atomic_load(&relay->reload_is_good));
    add_build(page);
    add_process(page, relay);
}
