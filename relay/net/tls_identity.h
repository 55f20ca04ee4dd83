/*
 * relay/net/tls_identity - a certificate with its chain and its key, as a
 * server shows them.
 *
 * Never changed once it is loaded; shares may go to other threads.
 */
#ifndef RELAY_NET_TLS_IDENTITY_H
#define RELAY_NET_TLS_IDENTITY_H

#include "relay/base/err.h"
#include "relay/base/own.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct net_tls_identity;

/* Reads both files, PEM, and checks that they fit; the error names the
 * file. */
struct net_tls_identity *net_tls_identity_load(const char *certificate,
                                               const char *key,
                                               struct err *err) must_use;
struct net_tls_identity *
net_tls_identity_share(const struct net_tls_identity *id);
void net_tls_identity_free(struct net_tls_identity **id);

/* The end of its own certificate, Unix seconds. */
int64_t net_tls_identity_not_after(const struct net_tls_identity *id);

/* Several, in the order in which they are asked.  Zeroed: none. */
struct net_tls_identities {
    struct net_tls_identity **list;
    size_t count;
};

void net_tls_identities_add(struct net_tls_identities *ids,
                            struct net_tls_identity *id);
struct net_tls_identities
net_tls_identities_share(const struct net_tls_identities *ids);
void net_tls_identities_done(struct net_tls_identities *ids);

#endif
