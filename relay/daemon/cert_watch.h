/*
 * relay/daemon/cert_watch - certificates that change while the relay runs.
 *
 * Looks every few seconds whether one of the files has become another one, in
 * place, by a rename or by a symbolic link on the way to it, and gives all
 * workers what it finds.  What can't be used changes nothing.  Sessions are
 * not touched.  Main thread.
 */
#ifndef RELAY_DAEMON_CERT_WATCH_H
#define RELAY_DAEMON_CERT_WATCH_H

#include "relay/daemon/relay.h"
#include "relay/daemon/server_tls.h"

enum {
    CERT_WATCH_MS = 2000,
    /* By then the keys of session tickets are new ones. */
    CERT_WATCH_RENEW_MS = 24 * 60 * 60 * 1000,
    CERT_WATCH_WARN_DAYS = 7,
};

struct cert_watch;

/* For the configuration of the relay.  `facts`: what its workers have. */
struct cert_watch *cert_watch_new(struct relay *relay,
                                  const struct server_tls_facts *facts);
void cert_watch_free(struct cert_watch **w);

/* The certificates that clients are shown now; borrowed until the loop turns.
 */
const struct server_tls_facts *cert_watch_facts(const struct cert_watch *w);

/* The configuration is another, and the workers have what it says. */
void cert_watch_configure(struct cert_watch *w,
                          const struct server_tls_facts *facts);

#endif
