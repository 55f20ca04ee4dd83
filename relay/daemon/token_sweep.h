/*
 * relay/daemon/token_sweep - forgets the tokens of routes that are no more.
 *
 * Main thread; the store is asked, and nobody waits for it.
 */
#ifndef RELAY_DAEMON_TOKEN_SWEEP_H
#define RELAY_DAEMON_TOKEN_SWEEP_H

#include "relay/daemon/relay.h"

/* What is kept for routes that do not get tokens by the configuration in
 * force goes. */
void token_sweep(struct relay *relay);

#endif
