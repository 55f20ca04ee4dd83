/* relay/admin/routes - the handlers behind the paths of api.c. */
#ifndef RELAY_ADMIN_ROUTES_H
#define RELAY_ADMIN_ROUTES_H

#include "relay/daemon/relay.h"
#include "relay/net/http_server.h"

enum { ADMIN_NAME_MAX = 255 }; /* octets of an id or a domain in a path */

/* Answers the request, now or later.  `name` is the part of the path that the
 * route leaves open, or "". */
typedef void admin_handler_fn(struct relay *relay, struct net_http_request *r,
                              const char *name);

admin_handler_fn admin_status;

#endif
