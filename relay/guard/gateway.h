/*
 * relay/guard/gateway - warns of networks that hold more than they seem to.
 *
 * Behind NAT a stranger looks like the gateway, or like the bridge of the
 * containers.  Where access.networks holds such an address, whoever comes
 * through it may relay.  That can be meant, so it is no error.
 */
#ifndef RELAY_GUARD_GATEWAY_H
#define RELAY_GUARD_GATEWAY_H

#include "relay/base/addr.h"
#include "relay/base/log.h"
#include "relay/config/config.h"

enum { GATEWAY_MAX = 64 }; /* so many are looked at */

struct gateway {
    struct addr addr;
    char interface[32];
    bool is_bridge; /* an address of ours on a bridge, else a way out */
};

/* The gateways of default routes, as /proc/net/route and /proc/net/ipv6_route
 * have them; NULL: none of that family.  Returns how many were found. */
size_t gateway_routes(const char *route_file, const char *ipv6_route_file,
                      struct gateway out[GATEWAY_MAX]);

/* Calls `each` for each network of access.networks and each gateway or bridge
 * in it. */
typedef void gateway_fn(void *ctx, const struct addr_net *net,
                        const struct gateway *g);
void gateway_each(const struct config *config, gateway_fn *each, void *ctx);

/* One log line for each network of access.networks and each such address in
 * it.  Returns how many lines those are. */
size_t gateway_warn(struct log *log, const struct config *config);

#endif
