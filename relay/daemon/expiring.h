/*
 * relay/daemon/expiring - MTA-STS policies that end soon because they can't be
 * fetched anew: long before mail goes unprotected somebody should know (RFC
 * 8461 section 3.3).
 *
 * Looks through the policy cache at the start and every ten minutes, says each
 * such policy in the log once a day, and knows them for the status and for
 * monitoring.  Main thread.
 */
#ifndef RELAY_DAEMON_EXPIRING_H
#define RELAY_DAEMON_EXPIRING_H

#include "policy/sts.h"
#include "relay/daemon/relay.h"

enum {
    EXPIRING_TICK_MS = 10 * 60 * 1000,
    EXPIRING_SOON_MS = 7 * 86400 * 1000,
    EXPIRING_BATCH = 200, /* policies looked at in one go */
    EXPIRING_MAX = 1000,  /* kept; further ones are only counted */
};

struct expiring;

struct expiring_row {
    char *domain, *failure;
    int64_t expires_ms;
    int64_t said_ms; /* when the log last had it */
};

struct expiring *expiring_new(struct relay *relay);
/* The store thread has ended, and its answers have come home. */
void expiring_free(struct expiring **e);

/* As of the last look. */
size_t expiring_count(const struct expiring *e);
/* The kept ones, by name.  Borrowed. */
const struct expiring_row *expiring_rows(const struct expiring *e, size_t *n);

/* Does it end within a week, unless somebody mends what keeps it from being
 * fetched?  A policy "none" may end. */
bool expiring_is_soon(const struct policy_sts_entry *e, int64_t now_ms);

#endif
