/*
 * relay/base/log_tap - a second reader of the log, while there is one.
 *
 * An open tap gets each line of level info and above as one object of JSON,
 * whatever the log's own format and level are; addresses are as the log shows
 * them.  A closed one costs a look at a flag.  Lines gather in a bounded
 * buffer until they are taken; what finds it full is counted, and the log's
 * own way is never held up.
 */
#ifndef RELAY_BASE_LOG_TAP_H
#define RELAY_BASE_LOG_TAP_H

#include "relay/base/buf.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

enum { LOG_TAP_MAX = 512 * 1024 }; /* octets waiting to be taken */

/* Runs on the thread that logs, under a lock, once each time the tap stops
 * being empty: it may wake somebody and nothing else. */
typedef void log_tap_wake_fn(void *ctx);

struct log_tap {
    _Atomic bool is_open;
    pthread_mutex_t lock;
    struct buf lines;
    uint64_t lost; /* since the last take */
    log_tap_wake_fn *wake;
    void *ctx;
};

void log_tap_init(struct log_tap *t);
void log_tap_done(struct log_tap *t);

void log_tap_open(struct log_tap *t, log_tap_wake_fn *wake, void *ctx);
/* `wake` does not run behind it; what was not taken is dropped. */
void log_tap_close(struct log_tap *t);

static inline bool
log_tap_is_open(const struct log_tap *t)
{
    return atomic_load_explicit(&t->is_open, memory_order_relaxed);
}

void log_tap_put(struct log_tap *t, struct slice line); /* any thread */

/* All that has gathered, each line with its end, in the place of what `out`
 * held; returns how many were lost behind them. */
uint64_t log_tap_take(struct log_tap *t, struct buf *out);

#endif
