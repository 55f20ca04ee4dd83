/*
 * relay/watch/refusals - what policies have kept back since the start, or
 * would have where they are only reported: by destination, policy and cause.
 *
 * For people who look at the status.  In memory alone, and bounded: behind
 * REFUSALS_MAX rows all new ones are counted under "other".  Any thread.
 */
#ifndef RELAY_WATCH_REFUSALS_H
#define RELAY_WATCH_REFUSALS_H

#include "policy/plan.h"

enum {
    REFUSALS_MAX = 1000,
    REFUSALS_TEXT_MAX = 300, /* octets; the rest is cut */
};

struct refusals;

struct refusals_row {
    bool is_shadow;          /* the mail went all the same */
    const char *destination; /* a domain, "route:NAME" or "other" */
    enum policy_source policy;
    enum policy_cause cause;
    const char *text; /* of the last time */
    uint64_t count;
    int64_t last_ms; /* wall clock */
};

struct refusals *refusals_new(void);
void refusals_free(struct refusals **r);

/* One more; `count` is not looked at. */
void refusals_add(struct refusals *r, const struct refusals_row *row);

typedef void refusals_fn(void *ctx, const struct refusals_row *row);
/* The one that happened last comes first; nothing may be added meanwhile. */
void refusals_each(struct refusals *r, refusals_fn *fn, void *ctx);

#endif
