/*
 * relay/daemon/outage - addresses that could not be connected to of late.
 *
 * Tried last for a while, so that a dead first host, or a family of addresses
 * that leads nowhere, costs one attempt its patience and not every message.
 * When the while is over the first who asks tries it in its place again, and
 * the others go on waiting for what comes of that.  Nothing is ever left out.
 * Belongs to a worker's thread.
 */
#ifndef RELAY_DAEMON_OUTAGE_H
#define RELAY_DAEMON_OUTAGE_H

#include "relay/base/addr.h"
#include "relay/base/own.h"

#include <stdint.h>

enum {
    OUTAGE_MS = 60 * 1000,
    OUTAGE_MAX = 1000,     /* addresses; the oldest are forgotten first */
    OUTAGE_FAMILY_MAX = 3, /* addresses of IPv6, or of IPv4, that fail in a row
                              and nothing between: it is the family */
};

struct outage;

struct outage *outage_new(void);
void outage_free(struct outage **o);

/* A connection came about, or did not. */
void outage_note(struct outage *o, const struct addr *a, bool is_connected,
                 int64_t now_ms);

/* Is it to be tried behind the others?  Who gets false is to try it. */
bool outage_is_out(struct outage *o, const struct addr *a, int64_t now_ms);

#endif
