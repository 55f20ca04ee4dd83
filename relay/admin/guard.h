/*
 * relay/admin/guard - who may use the API.
 *
 * The Unix socket is guarded by its file mode.  Over TCP the request must name
 * this machine in its Host field, so that a page of some other site can't have
 * a browser ask (DNS rebinding), must not come from such a page, and must bring
 * the token where one is configured (relay/admin/bearer); with the token any
 * name will do.  The
 * probes are for everybody by whatever name, and so is the dashboard, which
 * holds no facts of its own.
 */
#ifndef RELAY_ADMIN_GUARD_H
#define RELAY_ADMIN_GUARD_H

#include "relay/daemon/relay.h"
#include "relay/net/http_server.h"

/* By a token or the control socket, not only by being on this machine. */
bool admin_guard_is_trusted(const struct config *c,
                            const struct net_http_request *r);

/* False: the request has been answered, 401, 403, 415, 421 or 429. */
bool admin_guard(struct relay *relay, struct net_http_request *r);

/* Is `host`, out of a Host field, this machine?  Its name, "localhost", or any
 * IP address, each with or without a port. */
bool admin_guard_is_host(const struct config *c, const char *host);

/* Does a browser ask for a page that this host itself gave it?  A browser names
 * the page's site in an Origin field, with whatever changes something; others
 * send none (NULL). */
bool admin_guard_is_own(const char *origin, const char *host);

/* May a request that changes something have a body of this type?  None (NULL)
 * only without a body. */
bool admin_guard_is_type(const char *type, bool has_body);

#endif
