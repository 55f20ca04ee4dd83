/*
 * relay/guard/gate - how many connections there are: in all, at a listener,
 * and of a client.
 *
 * Any thread: the main thread accepts, a worker learns of a client behind a
 * proxy later, and sessions end on their workers.
 *
 * Loopback and Unix sockets are this machine's own and no single client.
 */
#ifndef RELAY_GUARD_GATE_H
#define RELAY_GUARD_GATE_H

#include "relay/base/addr.h"
#include "relay/base/span.h"

enum {
    GATE_ALL_MAX = 1000,
    /* Once fewer than a quarter of all are left, nobody has more than these,
     * so that those who come late find a place. */
    GATE_SCARCE_PER_CLIENT = 5,
    GATE_IDLE_MAX = 10000, /* clients kept in mind for their rate alone */
    GATE_NAME_SIZE = 65,
};

/* Of the listener that is knocked at. */
struct gate_limits {
    unsigned connections;            /* at once; 0: no limit of its own */
    unsigned connections_per_client; /* of one IPv4 address or IPv6 /64, at
                                        whatever listener; 0: no limit */
    struct span_rate rate;           /* new ones of one client */
};

/* What a connection has been counted under.  Zeroed: under nothing. */
struct gate_pass {
    char listener[GATE_NAME_SIZE];
    char client[ADDR_TEXT_SIZE]; /* "" nobody */
};

struct gate;

struct gate *gate_new(unsigned all_max);
void gate_free(struct gate **g);

/* Counts a connection in.  NULL, or why there is one too many: a few words. */
const char *gate_enter(struct gate *g, const char *listener,
                       const struct gate_limits *limits,
                       struct gate_pass *pass) must_use;

/* Counts it under its client as well.  Behind a refusal it is still in. */
const char *gate_admit(struct gate *g, const struct addr *client,
                       const struct gate_limits *limits, int64_t now_ms,
                       struct gate_pass *pass) must_use;

/* Gives the pass back. */
void gate_leave(struct gate *g, struct gate_pass *pass);

/* Somebody was turned away.  How many were since the last time that this gave a
 * number; 0 within a second of that, so that a flood of knocks makes no flood
 * of lines. */
unsigned gate_refused(struct gate *g, int64_t now_ms);

unsigned gate_count(struct gate *g);
unsigned gate_count_at(struct gate *g, const char *listener);

#endif
