/*
 * relay/admin/metrics - the numbers that nobody counts: what is there now.
 *
 * Looked at when a page is asked for: of the queue and the disk on the store
 * thread, of the rest on the main one.
 */
#ifndef RELAY_ADMIN_METRICS_H
#define RELAY_ADMIN_METRICS_H

#include "queue/store.h"
#include "relay/base/metric.h"
#include "relay/daemon/relay.h"

struct admin_metrics_store {
    struct queue_counts counts;
    int64_t oldest_ms[QUEUE_STATE_ACTIVE + 1]; /* arrived; by state */
    uint64_t sts_entries;
    uint64_t disk_free, disk_size, database, wal; /* octets */
    bool has_disk;
};

/* The disk alone; any thread.  One that can't be asked has no numbers. */
void admin_metrics_look_disk(struct admin_metrics_store *out,
                             const char *state_directory);
/* All of it, on the store thread. */
bool admin_metrics_look(struct admin_metrics_store *out,
                        struct queue_store *store, const struct relay *relay,
                        const char *state_directory, struct err *err) must_use;

/* Adds a gauge without labels. */
void admin_metrics_add(struct metric_page *page, const char *name,
                       const char *help, double value);

/* The parts of the page; on the main thread. */
void admin_metrics_routes(struct metric_page *page, struct relay *relay);
void admin_metrics_process(struct metric_page *page, const struct relay *relay);

/* On the main thread. */
void admin_metrics_gauges(struct metric_page *page, struct relay *relay,
                          const struct admin_metrics_store *store);

/* ---- webhooks.c ---- */
void admin_webhooks_gauges(struct metric_page *page, const struct relay *relay);

#endif
