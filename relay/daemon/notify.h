/*
 * relay/daemon/notify - tells the service manager how the relay does.
 *
 * One datagram to $NOTIFY_SOCKET for each word, as sd_notify(3) has them:
 * READY, RELOADING, STOPPING, STATUS, and WATCHDOG where $WATCHDOG_USEC wants
 * it.  The watchdog is fed by the main loop once every worker's loop has
 * answered since the last time, so a loop that stands still is found, and a
 * slow disk or a dead host is not taken for one.
 *
 * Nobody there to tell is no error; all functions take NULL.  Main thread.
 */
#ifndef RELAY_DAEMON_NOTIFY_H
#define RELAY_DAEMON_NOTIFY_H

#include "relay/base/own.h"
#include "relay/daemon/relay.h"

struct notify;

/* NULL: nobody wants to know.  The workers run already. */
struct notify *notify_new(struct relay *relay) must_use;
/* The workers have stopped. */
void notify_free(struct notify **n);

void notify_ready(struct notify *n);
void notify_reloading(struct notify *n); /* notify_ready ends it */
void notify_stopping(struct notify *n);

#endif
