/*
 * relay/daemon/gate - how many connections there are, in all and per client.
 *
 * Main thread, which accepts them all; workers tell it when a session ends.
 */
#ifndef RELAY_DAEMON_GATE_H
#define RELAY_DAEMON_GATE_H

#include "relay/base/addr.h"

enum {
    GATE_ALL_MAX = 1000,
    /* Of one IPv4 address or IPv6 /64.  Loopback and Unix sockets:
     * GATE_ALL_MAX. */
    GATE_PER_CLIENT_MAX = 50,
};

struct gate;

struct gate *gate_new(unsigned all_max);
void gate_free(struct gate **g);

/* Counts a connection in; false when it is one too many. */
bool gate_enter(struct gate *g, const struct addr *peer);
void gate_leave(struct gate *g, const struct addr *peer);
unsigned gate_count(const struct gate *g);

#endif
