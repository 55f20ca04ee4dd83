/*
 * queue/claims - which recipients are being worked on, in memory.
 *
 * A set that belongs to a store and follows its transactions: what changed
 * since queue_claims_begin is undone by queue_claims_rollback.
 */
#ifndef QUEUE_CLAIMS_H
#define QUEUE_CLAIMS_H

#include "queue/store.h"

struct queue_claim {
    uint64_t id;
    uint32_t number;
    enum queue_state state; /* QUEUED, DEFERRED or HELD: of the row beneath */
    bool is_doomed; /* deleted by hand: the row goes when the attempt ends */
    bool is_ended;  /* given up by hand: from now on that is where it waits,
                       should the attempt fail */
    bool is_bad;    /* claimed by nobody: the row failed its checks, and is
                       kept out of the way */
    bool is_whole;  /* it is all of its message, which has no history yet */
    bool leads;     /* it has the lowest number of its message */
    uint64_t size;  /* of the message */
};

struct queue_claims;

struct queue_claims *queue_claims_new(void);
void queue_claims_free(struct queue_claims **c);

/* Borrowed until the next change; NULL when it is not claimed. */
const struct queue_claim *queue_claims_find(const struct queue_claims *c,
                                            uint64_t id, uint32_t number);
/* Adds the claim, or takes the place of the one that was there. */
void queue_claims_put(struct queue_claims *c, const struct queue_claim *claim);
void queue_claims_drop(struct queue_claims *c, uint64_t id, uint32_t number);

/* Claims with rows of that state beneath, bad ones left out. */
size_t queue_claims_count(const struct queue_claims *c, enum queue_state state);
/* The messages that those among them lead. */
const struct queue_share *queue_claims_led(const struct queue_claims *c,
                                           enum queue_state state);

void queue_claims_begin(struct queue_claims *c);
void queue_claims_commit(struct queue_claims *c);
void queue_claims_rollback(struct queue_claims *c);

#endif
