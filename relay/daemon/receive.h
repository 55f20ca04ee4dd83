/*
 * relay/daemon/receive - the driver of an SMTP server session.
 *
 * Moves octets between a connection and the engine of smtp/server.h, answers
 * its questions, streams the body into memory or the store, and answers 250
 * only when the store has committed.
 */
#ifndef RELAY_DAEMON_RECEIVE_H
#define RELAY_DAEMON_RECEIVE_H

#include "relay/daemon/worker.h"

enum {
    RECEIVE_HOPS_MAX = 50,  /* Received fields; RFC 5321 section 6.3 */
    RECEIVE_SPILLS_MAX = 2, /* pieces on their way to the store */
    RECEIVE_HANDSHAKE_MS = 30 * 1000,
    RECEIVE_RATE_MS = 60 * 1000, /* a body brings RECEIVE_RATE_MIN in this */
    RECEIVE_RATE_MIN = 30 * 1000,
    RECEIVE_BODY_MS = 30 * 60 * 1000,
    RECEIVE_LINGER_MS = 5000,
    RECEIVE_FAREWELL_MS = 500, /* the same, while the relay stops */
};

struct receive;

/* Takes the descriptor and the pass over; `peer` is whom we talk to. */
void receive_start(struct worker *w, int fd, const struct addr *peer,
                   const struct config_listener *l,
                   const struct gate_pass *pass);

/* 421 at the next command border. */
void receive_shut(struct receive *r);
/* At once, without a word. */
void receive_kill(struct receive *r);
struct receive *receive_next(const struct receive *r);

#endif
