/*
 * relay/watch/recent - what last happened at each destination: how much went
 * and did not, under which policy, and what was said.
 *
 * For people who look at the status.  In memory alone, and bounded: the
 * destination that was silent longest is forgotten first.  Main thread.
 */
#ifndef RELAY_WATCH_RECENT_H
#define RELAY_WATCH_RECENT_H

#include "queue/store.h"

enum {
    RECENT_MAX = 200,
    RECENT_TEXT_MAX = 300, /* octets; the rest is cut */
};

struct recent;

/* Texts are NULL where there was none. */
struct recent_row {
    const char *destination;              /* a domain or "route:NAME" */
    uint64_t sent, deferred, bounced;     /* recipients; expired is bounced */
    int64_t last_ms, sent_ms, trouble_ms; /* wall clock; 0: never */
    const char *trouble;                  /* the last reason not to deliver */
    const char *policy, *proof, *tls, *verdict; /* of the last attempt */
};

struct recent *recent_new(void);
void recent_free(struct recent **r);

/* What became of one recipient; `a` may be NULL. */
void recent_add(struct recent *r, const char *destination,
                const struct queue_result *result,
                const struct queue_attempt *a, int64_t now_ms);

typedef void recent_fn(void *ctx, const struct recent_row *row);
/* The one that happened last comes first. */
void recent_each(const struct recent *r, recent_fn *fn, void *ctx);

#endif
