/*
 * relay/daemon/pool - outbound connections that wait for the next message.
 *
 * A connection is given out again only under the very key under which it was
 * put in: the key names the address and what was proven, so a message never
 * goes out on a connection that proved something else.  Belongs to a worker's
 * thread.
 */
#ifndef RELAY_DAEMON_POOL_H
#define RELAY_DAEMON_POOL_H

#include "relay/daemon/worker.h"
#include "smtp/client.h"

enum {
    POOL_MAX = 100,           /* connections kept per worker */
    POOL_IDLE_MS = 10 * 1000, /* how long one is kept */
};

struct pool;

struct pool *pool_new(struct worker *w);
void pool_free(struct pool **p); /* ends what it holds */

/* Both move in; the engine is READY and owes nothing.  `messages`: sent over
 * it so far. */
void pool_put(struct pool *p, const char *key, struct net_conn **conn,
              struct smtp_client **smtp, unsigned messages);
/* Both move out; false when there is none. The caller owns the connection's
 * events at once (net_conn_own). */
bool pool_take(struct pool *p, const char *key, struct net_conn **conn,
               struct smtp_client **smtp, unsigned *messages);
/* Ends all that wait. */
void pool_empty(struct pool *p);

#endif
