/*
 * relay/daemon/arrival - a connection before it is a session.
 *
 * Behind a proxy it has yet to say whose it is: the PROXY header is read, and
 * the gate asked about the client that it names.  All others begin at once.
 */
#ifndef RELAY_DAEMON_ARRIVAL_H
#define RELAY_DAEMON_ARRIVAL_H

#include "relay/daemon/worker.h"

enum { ARRIVAL_HEADER_MS = 5000 };

struct arrival;

/* Does this peer speak for others? */
bool arrival_is_proxy(const struct config_listener *l, const struct addr *peer);

/* What the listener lets in. */
struct gate_limits arrival_limits(const struct config_listener *l);

/* 421 with this reason, where the client would understand it, and closes.  Any
 * thread. */
void arrival_turn_away(struct relay *relay, int fd,
                       const struct config_listener *l,
                       const struct addr *client, const char *why);

/* Takes the descriptor and the pass over. */
void arrival_start(struct worker *w, int fd, const struct addr *peer,
                   const struct config_listener *l,
                   const struct gate_pass *pass);

/* Closes all that is on its way. */
void arrival_cut(struct worker *w);

#endif
