/*
 * relay/daemon/resolver - the driver of policy look-ups, with a cache.
 *
 * Asks DNS, the policy cache in the store and the policy hosts for what the
 * engine of policy/lookup.h wants to know.  Facts are kept per destination for
 * as long as their TTLs say; equal questions under way are asked once.
 * Belongs to a worker's thread.
 */
#ifndef RELAY_DAEMON_RESOLVER_H
#define RELAY_DAEMON_RESOLVER_H

#include "policy/lookup.h"
#include "relay/daemon/worker.h"

enum {
    RESOLVER_CACHE_MAX = 5000, /* destinations kept */
    RESOLVER_FETCHES_MAX = 10, /* policy fetches at a time, per worker */
};

struct resolver;
struct resolver_wait; /* somebody who waits for facts */

/* Facts are borrowed: good during the call.  NULL: the relay is stopping. */
typedef void resolver_fn(void *ctx, const struct policy_facts *facts);

struct resolver *resolver_new(struct worker *w);
/* Ends all waits, with NULL for facts, and every later one as well. */
void resolver_cut(struct resolver *r);
/* Cut off before. */
void resolver_free(struct resolver **r);

/* Before this, nothing is looked up: whether answers can be authenticated is
 * not known yet, and a host's TLSA records would be passed over. */
void resolver_begin(struct resolver *r);

/* What is known and still good; NULL: ask with resolver_start.  Borrowed, good
 * until the next call of this module. */
const struct policy_facts *resolver_find(struct resolver *r,
                                         const char *destination);

/* The facts for a recipient domain, or for a route ("route:NAME", with the
 * hosts of `via`).  The rules of relay/net/dial.h hold for the slot. */
void resolver_start(struct resolver_wait **slot, struct resolver *r,
                    const char *destination, resolver_fn *done, void *ctx);
void resolver_cancel(struct resolver_wait **slot);

/* Fetches the policy of a domain anew, whatever is known. */
void resolver_refresh(struct resolver_wait **slot, struct resolver *r,
                      const char *domain, resolver_fn *done, void *ctx);

/* Forgets what is known of a destination; NULL: of all. */
void resolver_forget(struct resolver *r, const char *destination);

#endif
