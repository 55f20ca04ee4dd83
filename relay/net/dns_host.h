/*
 * relay/net/dns_host - where a host can be connected to: its A records, then
 * its AAAA records.
 *
 * For hosts that need no more than that, such as those of HTTPS; it believes
 * what DNS says, and authenticates nothing.
 */
#ifndef RELAY_NET_DNS_HOST_H
#define RELAY_NET_DNS_HOST_H

#include "relay/base/addr.h"
#include "relay/net/dns.h"

enum { NET_DNS_HOST_MAX = 6 }; /* addresses; at most half of them by A */

/* Lives in its owner, zeroed before the first use. */
struct net_dns_host {
    struct addr address[NET_DNS_HOST_MAX];
    size_t count;
    char why[160]; /* there is none */
    /* private */
    struct net_dns *dns;
    struct net_dns_query *query;
    const char *name;
    unsigned port;
    bool ipv6;
    void (*done)(void *ctx);
    void *ctx;
};

/* `name` is the owner's, and good until `done`, for which the rules of
 * relay/net/dial.h hold; the addresses bear `port`. */
void net_dns_host_start(struct net_dns_host *h, struct net_dns *dns,
                        const char *name, unsigned port, bool ipv6,
                        void (*done)(void *ctx), void *ctx);
void net_dns_host_cancel(struct net_dns_host *h);

#endif
