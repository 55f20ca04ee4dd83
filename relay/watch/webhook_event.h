/*
 * relay/watch/webhook_event - results as a webhook is told of them.
 *
 * A body is an array of JSON with one object for each result, in their order:
 * type, id, timestamp, data.  The id is the same each time that a result is
 * told, and to whomever.
 */
#ifndef RELAY_WATCH_WEBHOOK_EVENT_H
#define RELAY_WATCH_WEBHOOK_EVENT_H

#include "queue/store.h"
#include "relay/base/buf.h"
#include "relay/base/id.h"

enum {
    WEBHOOK_EVENT_COUNT_MAX = 100,         /* of one body */
    WEBHOOK_EVENT_OCTETS_MAX = 256 * 1024, /* from here on nothing is added */
    WEBHOOK_EVENT_ID_SIZE = ID_TEXT_SIZE + 12,
    WEBHOOK_BATCH_ID_SIZE = 4 + 2 * WEBHOOK_EVENT_ID_SIZE,
};

/* Zeroed storage, freed by webhook_batch_done. */
struct webhook_batch {
    struct buf body; /* to be ended */
    size_t count;
    uint64_t last; /* the number of its last row */
    char first_id[WEBHOOK_EVENT_ID_SIZE], last_id[WEBHOOK_EVENT_ID_SIZE];
    bool is_full;
};

void webhook_batch_done(struct webhook_batch *b);
/* A queue_feed_fn; ctx is the batch. */
void webhook_batch_add(void *batch, const struct queue_feed_row *row);
void webhook_batch_end(struct webhook_batch *b);
/* "evt_0g3k1x9d2a-0", or "evt_0g3k1x9d2a-0_0g3k1x9d2b-3": the same for the same
 * events. */
const char *webhook_batch_id(const struct webhook_batch *b,
                             char out[WEBHOOK_BATCH_ID_SIZE]);

#endif
