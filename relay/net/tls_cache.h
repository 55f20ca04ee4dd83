/*
 * relay/net/tls_cache - the TLS sessions a client may resume.
 *
 * A session is kept with what its handshake has proven, because a resumed
 * one proves nothing again.  It is found only under the key it was kept
 * under, which names the host and the proof.
 */
#ifndef RELAY_NET_TLS_CACHE_H
#define RELAY_NET_TLS_CACHE_H

#include "relay/net/tls.h"

#include <openssl/ssl.h>

enum {
    NET_TLS_SESSIONS_MAX = 256,      /* of one context */
    NET_TLS_SESSION_AGE_S = 60 * 60, /* then the proof is asked for again */
};

struct net_tls_session {
    char *key; /* NULL: a free place */
    SSL_SESSION *session;
    struct net_tls_facts *facts;
    int64_t
        proven_s; /* Unix seconds, of the handshake that was no resumption */
};

struct net_tls_cache {
    struct net_tls_session *places; /* NULL until the first is kept */
};

/* Takes the session over; replaces what the key has had, else the oldest. */
void net_tls_cache_put(struct net_tls_cache *cache, const char *key,
                       SSL_SESSION *session, const struct net_tls_facts *facts,
                       int64_t proven_s);

/* NULL without a session that is still young and whose certificate is still
 * valid.  Borrowed until the next change. */
const struct net_tls_session *
net_tls_cache_find(const struct net_tls_cache *cache, const char *key,
                   int64_t now_s);

void net_tls_cache_done(struct net_tls_cache *cache);

#endif
