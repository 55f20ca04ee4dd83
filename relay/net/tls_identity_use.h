/* relay/net/tls_identity_use - identities for OpenSSL, for the files tls*.c. */
#ifndef RELAY_NET_TLS_IDENTITY_USE_H
#define RELAY_NET_TLS_IDENTITY_USE_H

#include "relay/net/tls_identity.h"

#include <openssl/ssl.h>

/* False: OpenSSL does not take it, as for a key that is too short. */
bool net_tls_identity_use(SSL_CTX *ssl, const struct net_tls_identity *id,
                          struct err *err) must_use;

/* Shows whichever has the name that the client asked for: as it is before by a
 * wildcard, and of several kinds of keys one each.  Without one of that name,
 * or without a name, all stays as it is. */
void net_tls_identities_choose(SSL *ssl, const struct net_tls_identities *ids);

#endif
