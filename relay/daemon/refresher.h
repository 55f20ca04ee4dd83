/*
 * relay/daemon/refresher - keeps the cached MTA-STS policies fresh.
 *
 * Policies are fetched again about once a day, long before they expire, so
 * that nobody who blocks their renewal for a while can make them end (RFC 8461
 * section 10.2).  What no mail has asked for in half a year is forgotten.  Main
 * thread; the look-ups run on the workers, one at a time.
 */
#ifndef RELAY_DAEMON_REFRESHER_H
#define RELAY_DAEMON_REFRESHER_H

#include "policy/sts.h"
#include "relay/daemon/relay.h"

enum {
    REFRESHER_TICK_MS = 10 * 60 * 1000,
    REFRESHER_BATCH = 100, /* policies looked at in one tick */
};

struct refresher;

struct refresher *refresher_new(struct relay *relay);
/* No look-up is under way any more: the workers have been cut off. */
void refresher_free(struct refresher **r);

/* Fetches one policy now; `done` (may be NULL) runs on the main thread. */
void refresher_fetch(struct refresher *r, const char *domain,
                     void (*done)(void *ctx), void *ctx);

/* When an entry should be looked at again: a day after its fetch, or half way
 * to its expiry, whichever comes first, and spread over three hours. */
int64_t refresher_due_ms(const struct policy_sts_entry *e);

/* Has nothing asked for it in a long time? */
bool refresher_is_unused(const struct policy_sts_entry *e, int64_t now_ms);

#endif
