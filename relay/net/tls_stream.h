/*
 * relay/net/tls_stream - one TLS session over bytes: no socket, no loop.
 *
 * Octets of the network go in as a slice, records to be sent come out in a
 * buf, and what a handshake has proven is kept as facts.  It is an engine in
 * the sense of smtp/ and belongs to relay/net/conn, which moves the bytes.
 */
#ifndef RELAY_NET_TLS_STREAM_H
#define RELAY_NET_TLS_STREAM_H

#include "relay/base/buf.h"
#include "relay/net/tls.h"

enum {
    NET_TLS_PLAIN_MAX = 16 * 1024, /* of one record: RFC 8446 section 5.1 */

    /* Octets of a whole handshake: a chain of NET_TLS_CHAIN_MAX and room. */
    NET_TLS_HANDSHAKE_MAX = 256 * 1024,

    /* Octets in a row that bring no data: more than one record and the usual
     * session tickets, far less than a flood of KeyUpdate. */
    NET_TLS_BARREN_MAX = 32 * 1024,
};

struct net_tls_stream;

/* Copies the setup.  `out` is borrowed for the stream's whole life; only its
 * end is added to. */
struct net_tls_stream *net_tls_stream_new(const struct net_tls_setup *setup,
                                          struct buf *out);
void net_tls_stream_free(struct net_tls_stream **s);

enum net_tls_shake {
    NET_TLS_WAITS, /* for more octets of the peer */
    NET_TLS_SECURED,
    NET_TLS_REFUSED, /* by either side; `out` may hold an alert */
};

/* Goes on with the handshake, after taking what it needs from `in`. */
enum net_tls_shake net_tls_stream_shake(struct net_tls_stream *s,
                                        struct slice *in, struct err *err);

/* The handshake will not go on, because of something outside of it. */
void net_tls_stream_abandon(struct net_tls_stream *s, const char *why);

/* Decrypts at most one record: *got octets into `plain`, which has room for
 * NET_TLS_PLAIN_MAX.  0 octets: `in` is used up, or the peer has ended. */
bool net_tls_stream_read(struct net_tls_stream *s, struct slice *in,
                         char *plain, size_t *got, struct err *err) must_use;

/* The peer's close_notify has been read. */
bool net_tls_stream_is_ended(const struct net_tls_stream *s);

bool net_tls_stream_write(struct net_tls_stream *s, struct slice plain,
                          struct err *err) must_use;

/* Adds our close_notify, if there is a session to close. */
void net_tls_stream_finish(struct net_tls_stream *s);

const struct net_tls_facts *
net_tls_stream_facts(const struct net_tls_stream *s);

/* See net_conn_binding. */
bool net_tls_stream_binding(const struct net_tls_stream *s,
                            uint8_t out[NET_TLS_BINDING_LEN]) must_use;

#endif
