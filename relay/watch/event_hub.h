/*
 * relay/watch/event_hub - the events of the log, for those who follow them.
 *
 * While there is a reader, and for a minute behind the last, so that one who
 * comes again has missed nothing, the hub holds the log's tap open and the
 * latest events in a bounded ring.  Each reader goes through the ring at its
 * own pace, by its own filter; whoever is too slow is told how many events it
 * has lost.  Without readers the hub does nothing.
 *
 * Main thread.
 */
#ifndef RELAY_WATCH_EVENT_HUB_H
#define RELAY_WATCH_EVENT_HUB_H

#include "relay/base/log.h"
#include "relay/watch/event_filter.h"

#include <uv.h>

enum {
    EVENT_HUB_READERS_MAX = 16,
    EVENT_HUB_OCTETS_MAX = 512 * 1024, /* of the ring */
    EVENT_HUB_LINGER_MS = 60 * 1000,   /* behind the last reader */
    EVENT_ID_SIZE = 40,
};

struct event_hub;
struct event_reader;

/* The log outlives the hub. */
struct event_hub *event_hub_new(uv_loop_t *loop, struct log *log);
/* All readers are told; there is no next event any more. */
void event_hub_close(struct event_hub *h);
void event_hub_free(struct event_hub **h); /* readers have gone */
size_t event_hub_count(const struct event_hub *h);

/* There is more to read, or the hub is closed; from the loop. */
typedef void event_reader_fn(void *ctx);

/* Takes the filter over.  `last` is the id of the event that was read last,
 * maybe of another life of the relay; NULL: what comes from now on.  ERR_LIMIT:
 * there are too many readers already, or the hub is closed. */
struct event_reader *event_reader_new(struct event_hub *h,
                                      struct event_filter *filter,
                                      const char *last, event_reader_fn *news,
                                      void *ctx, struct err *err) must_use;
void event_reader_free(struct event_reader **r);

struct event {
    char id[EVENT_ID_SIZE];
    const char *name;  /* NULL: something was missed */
    struct slice line; /* JSON, one line without its end */
    uint64_t missed;   /* so many that it wanted, at most; 0: nobody knows */
};

/* What comes next, good until the loop goes on; false: nothing yet. */
bool event_reader_next(struct event_reader *r, struct event *out);
bool event_reader_is_over(const struct event_reader *r);

#endif
