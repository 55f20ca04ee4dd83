/*
 * relay/daemon/outcome_inside - what the files of the outcome share; nobody
 * else's.
 *
 * What becomes of each recipient and how it is recorded is in outcome.c; who
 * is told, and how, in outcome_notice.c.
 */
#ifndef RELAY_DAEMON_OUTCOME_INSIDE_H
#define RELAY_DAEMON_OUTCOME_INSIDE_H

#include "queue/message.h"
#include "relay/daemon/outcome.h"

struct outcome {
    struct store_call call;
    struct relay *relay;
    struct report *report;
    outcome_fn *done;
    void *ctx;
    struct outcome *link;

    struct queue_result *results; /* as many as the report's recipients */
    char **reasons;               /* theirs */
    char **destinations;          /* where the routes have changed */
    char ***feeds;                /* who is told of each; or NULL */
    bool *wants_notice;
    enum queue_action *action; /* of the notice */
    struct queue_message *notices[3];
    size_t notice_count;
    struct err untold;   /* why they are not in the queue; see queue/store.h */
    size_t signed_count; /* of them; the next is under way with a signer */
    struct dkim_signer *signer;
    void (*signed_all)(struct outcome *o);
    int64_t settled_ms;  /* wall clock */
    bool has_jitter;     /* it was drawn: */
    uint32_t jitter;     /* one for all, so that they stay together */
    struct buf original; /* read from the store for a notice */
    bool has_original;
};

static inline struct queue_message *
outcome_message(const struct outcome *o)
{
    return o->report->job->message;
}

/* --- outcome_notice.c --- */

/* Makes the bounces and warnings that are wanted, once. */
void outcome_write_notices(struct outcome *o);
/* Signs them one after the other where their domain has a key; `done` runs
 * behind the last, maybe at once. */
void outcome_sign_notices(struct outcome *o, void (*done)(struct outcome *o));
/* Finds their destinations, as the routes are now. */
void outcome_address_notices(struct outcome *o);

#endif
