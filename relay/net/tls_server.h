/*
 * relay/net/tls_server - TLS settings of the server role.
 *
 * TLS 1.2 and 1.3 with forward secrecy, as RFC 9325 wants it; no renegotiation,
 * no compression, no early data.  What is older is for devices that know
 * nothing better.
 */
#ifndef RELAY_NET_TLS_SERVER_H
#define RELAY_NET_TLS_SERVER_H

#include "relay/net/tls.h"
#include "relay/net/tls_identity.h"

struct net_tls_server_setup {
    /* The first is shown where no other has the name that is asked for; at
     * least one.  Shares are taken. */
    const struct net_tls_identities *identities;
    const char *min_version; /* "1.0" to "1.3"; NULL: "1.2" */
    const char *client_ca;   /* trust anchors for clients; NULL: `check` is
                                NET_TLS_CHECK_NONE */
    /* Of a client's certificate: NONE asks for none; OBSERVE for one, and takes
     * what comes; PKIX wants one that is good.  Resumed sessions would prove
     * nothing again, so that there are none then. */
    enum net_tls_check check;
    const char *name; /* a session is resumed only where this is the same */
    const struct net_tls *like; /* which shares its sessions; NULL: nobody */
};

struct net_tls *net_tls_server(const struct net_tls_server_setup *setup,
                               struct err *err) must_use;

#endif
