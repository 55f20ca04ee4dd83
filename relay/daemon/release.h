/*
 * relay/daemon/release - gives claims back to the store, as often as that
 * takes: what stays claimed for nobody is not delivered before a restart.
 * Main thread.
 */
#ifndef RELAY_DAEMON_RELEASE_H
#define RELAY_DAEMON_RELEASE_H

#include "relay/daemon/relay.h"

enum { RELEASE_RETRY_MS = 1000 };

/* `done` runs once it has succeeded, or the relay stops, which ends all
 * claims.  `numbers` of message `id` move in: free(). */
void release_start(struct relay *relay, uint64_t id, uint32_t *numbers,
                   size_t count, void (*done)(void *ctx), void *ctx);

#endif
