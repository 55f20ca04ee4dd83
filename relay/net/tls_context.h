/* relay/net/tls_context - what struct net_tls holds, for the files tls*.c. */
#ifndef RELAY_NET_TLS_CONTEXT_H
#define RELAY_NET_TLS_CONTEXT_H

#include "relay/base/err.h"
#include "relay/net/tls_cache.h"
#include "relay/net/tls_identity.h"

#include <openssl/ssl.h>

/* The streams of a context outlive it when settings are loaded anew: each has
 * its own share of `ssl`, and finds this struct through SSL_CTX_get_app_data,
 * which is NULL from then on. */
struct net_tls {
    SSL_CTX *ssl;
    struct net_tls_cache sessions;        /* client */
    struct net_tls_identities identities; /* server: to choose from by name;
                                             none: there is one only */
};

/* What both roles have in common. */
struct net_tls *net_tls_new(const SSL_METHOD *method);

/* For who needs the context longer than its owner may keep it: the same
 * settings and trust, no sessions.  Free it as any. */
struct net_tls *net_tls_share(const struct net_tls *t);

/* OpenSSL has run out of memory when it can't make such an object. */
void net_tls_need(const void *object);

/* The reason OpenSSL gives for the failure of its last call; empties its
 * list.  `otherwise` when it gives none. */
const char *net_tls_reason(const char *otherwise);

#endif
