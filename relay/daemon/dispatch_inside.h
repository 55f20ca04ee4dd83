/*
 * relay/daemon/dispatch_inside - what the files of dispatch share; nobody
 * else's.
 */
#ifndef RELAY_DAEMON_DISPATCH_INSIDE_H
#define RELAY_DAEMON_DISPATCH_INSIDE_H

#include "relay/daemon/aged.h"
#include "relay/daemon/dispatch.h"
#include "relay/daemon/outcome.h"

struct dispatch {
    struct relay *relay;
    struct queue_scheduler *scheduler;
    struct net_timer *timer, *housekeeping;
    struct outcome *unrecorded; /* the store could not take them yet */
    unsigned settling, calls;   /* outcomes and store calls under way */
    bool draining;
    struct aged *aged;
};

/* --- dispatch_store.c: calls to the store, whose answers the scheduler is
 * told.  Each counts among the calls until it is over. --- */
void dispatch_claim(struct dispatch *d, const struct queue_do *what);
void dispatch_scan(struct dispatch *d);
/* Takes over the numbers. */
void dispatch_release(struct dispatch *d, const struct queue_do *what);
/* History that is too old or too much goes, some at a time. */
void dispatch_purge(struct dispatch *d);

#endif
