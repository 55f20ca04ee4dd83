/*
 * relay/daemon/doors - the listeners of the configuration, open.
 *
 * Accepts connections, turns away what is too much, and hands the others to
 * the workers in turn.  Main thread.
 */
#ifndef RELAY_DAEMON_DOORS_H
#define RELAY_DAEMON_DOORS_H

#include "relay/daemon/relay.h"
#include "relay/net/passed.h"

struct door;

/* Zeroed storage with a relay has none open. */
struct doors {
    struct relay *relay;
    struct net_passed passed; /* a listener there takes one of these */
    struct door *list;        /* of a listener several, where as many were
                                 passed under its name */
    size_t count;
    unsigned turn; /* which worker gets the next connection */
};

/* Opens what the configuration wants and is not open yet, and closes what it
 * no longer wants; only when all of that has worked does anything change. */
bool doors_open(struct doors *d, const struct config *c,
                struct err *err) must_use;
void doors_close(struct doors *d);

/* Says in the log which passed sockets nobody wanted. */
void doors_log_unused(const struct doors *d);

/* Where the first one listens; NULL when there is none. */
const char *doors_where(const struct doors *d);

#endif
