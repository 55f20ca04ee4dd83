/*
 * relay/net/conn - one stream connection on a loop, with or without TLS.
 *
 * The connection hides sockets, TLS records and partial writes: its owner
 * sees octets in clear, a buffer that empties, one time limit, and one end.
 * It belongs to the loop's thread.
 *
 * No callback runs from inside a call of this module; all of them come from
 * the loop.  The owner may close the connection inside any callback; none
 * runs behind net_conn_close.
 */
#ifndef RELAY_NET_CONN_H
#define RELAY_NET_CONN_H

#include "relay/base/addr.h"
#include "relay/base/buf.h"
#include "relay/base/err.h"
#include "relay/net/tls.h"

#include <uv.h>

enum {
    /* Output held for a peer that does not read: above it net_conn_is_full,
     * and reading pauses until it is below again. */
    NET_CONN_OUTPUT_MAX = 64 * 1024,
};

struct net_conn;

struct net_conn_events {
    /* Octets have come.  Returns how many were used; what is left is kept and
     * given again, with more behind it, after net_conn_more or when more
     * arrives - so an owner that waits for something returns what it could
     * use and later calls net_conn_more.  Reading pauses while 64 KB wait. */
    size_t (*input)(void *ctx, struct slice in);
    /* The handshake of net_conn_start_tls ended: err NULL, or why it failed
     * (then the connection is of no more use).  Another kind than ERR_TLS: the
     * connection broke before the handshake was through.  See net_conn_tls. */
    void (*secured)(void *ctx, const struct err *err);
    /* The output has fallen below half of NET_CONN_OUTPUT_MAX after
     * net_conn_is_full was true. */
    void (*drained)(void *ctx);
    /* The time limit has passed. */
    void (*late)(void *ctx);
    /* The peer has closed (err NULL) or the connection broke.  Input that came
     * before it has been given first.  Once; what the owner has left of the
     * input can still be asked for by net_conn_more, and behind a close output
     * can still be sent: a peer may say all it has to say and hang up.  After
     * a failed handshake `ended` does not come: `secured` was the end. */
    void (*ended)(void *ctx, const struct err *err);
};

/* Takes a connected socket, non-blocking or not, over from the caller. */
struct net_conn *net_conn_new(uv_loop_t *loop, int fd,
                              const struct net_conn_events *events, void *ctx);

/* Gives the connection to another owner on the same loop. */
void net_conn_own(struct net_conn *c, const struct net_conn_events *events,
                  void *ctx);

/* Begins to read. */
void net_conn_open(struct net_conn *c);

/* Sends what `out` holds and leaves it empty; during a handshake, once that
 * has succeeded. */
void net_conn_send(struct net_conn *c, struct buf *out);
bool net_conn_is_full(const struct net_conn *c);

/* Gives kept input again, from the loop, soon. */
void net_conn_more(struct net_conn *c);
bool net_conn_has_kept(const struct net_conn *c);

/* Handshake, in either role by the settings; what was sent before goes out in
 * clear first.  Kept input must be empty: the SMTP engines see to it; octets
 * that are left nevertheless make the handshake fail. */
void net_conn_start_tls(struct net_conn *c, const struct net_tls_setup *setup);

/* What was agreed and proven; NULL before `secured`. */
const struct net_tls_facts *net_conn_tls(const struct net_conn *c);

/* What both ends of this TLS session know and nobody else does, tls-exporter of
 * RFC 9266: who shows it to the peer shows that nobody is in the middle. False:
 * there is none, as before TLS 1.3. */
bool net_conn_binding(const struct net_conn *c,
                      uint8_t out[NET_TLS_BINDING_LEN]) must_use;

/* Behind `ended`: did TLS end without close_notify, so that octets may be
 * missing (RFC 8446 section 6.1)?  Only who reads until the end has to ask;
 * lines and lengths tell by themselves whether they are whole. */
bool net_conn_is_truncated(const struct net_conn *c);

/* One limit: `late` runs when `ms` have passed; 0 is none.  Each call starts
 * it anew. */
void net_conn_limit(struct net_conn *c, uint64_t ms);

const struct addr *net_conn_peer(const struct net_conn *c); /* family
                                                AF_UNSPEC: Unix socket */
/* Our own end; the same for what it is not known of. */
struct addr net_conn_local(const struct net_conn *c);

/* Flushes what is queued (with close_notify) and waits for the peer to close
 * as well, for at most `linger_ms` in the background; 0: sends what the kernel
 * takes now.  *slot becomes NULL; no callback any more. */
void net_conn_close(struct net_conn **slot, uint64_t linger_ms);

#endif
