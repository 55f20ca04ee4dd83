/*
 * relay/daemon/store_thread - the one thread that owns the queue's database.
 *
 * Calls gather in its mailbox while it works.  It takes all there are, runs
 * them as one transaction, commits once, and sends each call home: group
 * commit with no added wait for whoever waits for an answer.  What nobody
 * waits for, the result of a delivery, shares the next such commit, or
 * MAILBOX_PATIENCE_MS later one with its like.  A call that comes home without
 * `failed` is committed and synced.
 *
 * When a transaction fails each of its calls is tried again by itself, so that
 * a bad one fails alone.  When writing as such fails (an I/O error, a disk
 * without any room) the thread says so by the health function and tries by
 * itself, once a second, whether it works again.
 *
 * Before it comes to that a disk that fills up takes no more mail: calls that
 * grow the queue fail, so that there is room to record what becomes of what is
 * queued already.
 */
#ifndef RELAY_DAEMON_STORE_THREAD_H
#define RELAY_DAEMON_STORE_THREAD_H

#include "queue/store.h"
#include "relay/base/log.h"
#include "relay/base/metric.h"
#include "relay/daemon/task.h"

enum {
    STORE_BATCH_MAX = 1000, /* calls of one transaction */
    STORE_PROBE_MS = 1000,  /* between probes of a store in trouble */
};

/* Embedded in a struct with what the call needs and what it brings home. */
struct store_call {
    struct task task; /* run at home, afterwards; owns the struct */
    struct net_inbox *home;
    /* On the store thread; may run twice, so it begins by clearing what it
     * brings home.  ERR_MISSING is an answer, not a failure. */
    bool (*work)(struct store_call *call, struct queue_store *store,
                 struct err *err);
    bool grows; /* it puts mail in: it fails at once while there is no room */
    bool is_patient; /* nobody waits for it: it may wait a moment for others
                        to share its commit */
    bool is_alone; /* not in a transaction, nor with others: a step of a backup.
                      It runs once */
    bool failed;   /* then err says why */
    struct err err;
};

struct store_thread;

/* Runs on the store thread whenever health changes: `why` NULL is healthy. */
typedef void store_health_fn(void *ctx, const struct err *why);

/* Takes the store over.  `metrics`: see relay/watch/metrics.h. */
struct store_thread *store_thread_start(struct queue_store **store,
                                        struct log *log,
                                        struct metric_set *metrics,
                                        store_health_fn *health, void *ctx);

/* Any thread.  `home` NULL: task.run runs on the store thread itself. */
void store_thread_post(struct store_thread *t, struct store_call *call);

/* Finishes all calls that were posted before, closes the store, ends the
 * thread. */
void store_thread_stop(struct store_thread **t);

/* Is there room for more mail?  Any thread. */
bool store_thread_has_room(const struct store_thread *t);

/* A long call is still at work.  On the store thread; NULL: nobody looks. */
void store_thread_beat(struct store_thread *t);
/* Since the thread has shown that it is at work, or waits for some.  Any
 * thread. */
int64_t store_thread_age_ms(const struct store_thread *t);

/* Transactions committed so far; any thread. */
uint64_t store_thread_commits(const struct store_thread *t);

#endif
