/*
 * relay/daemon/history - the last hour in numbers: what came and went, how
 * long it took, how much waited.
 *
 * For people who look at the page or the API without a monitoring system.  In
 * memory alone, one sample every ten seconds, bounded; a restart begins anew.
 * Main thread.
 */
#ifndef RELAY_DAEMON_HISTORY_H
#define RELAY_DAEMON_HISTORY_H

#include "queue/store.h"
#include "relay/base/spread.h"
#include "relay/daemon/relay.h"

enum {
    HISTORY_STEP_MS = 10 * 1000,
    HISTORY_SAMPLES = 360,
    HISTORY_MINUTE = 6, /* samples */
};

struct history;

enum history_count {
    HISTORY_ACCEPTED, /* messages */
    HISTORY_REFUSED,  /* commands that clients gave in vain */
    HISTORY_SENT,     /* recipients, as are those below */
    HISTORY_DEFERRED,
    HISTORY_BOUNCED, /* or expired */
    HISTORY_COUNTS
};

/* From acceptance to the other side's 250, of `count` recipients; each -1 when
 * there was none. */
struct history_delay {
    uint64_t count;
    int64_t p50_ms, p95_ms, p99_ms;
};

struct history_sample {
    int64_t at_ms; /* wall clock: its end */
    uint64_t count[HISTORY_COUNTS];
    struct queue_counts queue;   /* at its end */
    struct history_delay minute; /* of the minute before its end */
};

struct history *history_new(struct relay *relay);
/* No call to the store is under way any more. */
void history_free(struct history **h);

/* A recipient was delivered, so long after its message was accepted. */
void history_delivered(struct history *h, int64_t delay_ms);

typedef void history_fn(void *ctx, const struct history_sample *sample);
/* Oldest first. */
void history_each(const struct history *h, history_fn *fn, void *ctx);

/* Of the whole hour, up to now. */
struct history_delay history_hour(const struct history *h);

#endif
