#include "relay/net/dns_host.h"

#include <stdio.h>

static void
note_failure(struct net_dns_host *h, const struct dns_answer *answer)
{
    const char *why =
        answer->outcome == DNS_FAILED ? answer->why : "it has no address";

    if (!h->why[0] || answer->outcome == DNS_FAILED)
        (void)snprintf(h->why, sizeof(h->why), "DNS: %s", why);
}

static void
v6_known(void *ctx, const struct dns_answer *answer)
{
    struct net_dns_host *h = ctx;

    for (size_t i = 0; i < answer->count && h->count < NET_DNS_HOST_MAX; i++)
        h->address[h->count++] = addr_from_v6(answer->records[i].aaaa, h->port);
    note_failure(h, answer);
    h->done(h->ctx);
}

static void
v4_known(void *ctx, const struct dns_answer *answer)
{
    struct net_dns_host *h = ctx;

    for (size_t i = 0; i < answer->count && h->count < NET_DNS_HOST_MAX / 2;
         i++)
        h->address[h->count++] = addr_from_v4(answer->records[i].a, h->port);
    note_failure(h, answer);
    if (h->ipv6)
        net_dns_start(&h->query, h->dns, h->name, DNS_AAAA, v6_known, h);
    else
        h->done(h->ctx);
}

void
net_dns_host_start(struct net_dns_host *h, struct net_dns *dns,
                   const char *name, unsigned port, bool ipv6,
                   void (*done)(void *ctx), void *ctx)
{
    *h = (struct net_dns_host){.dns = dns,
                               .name = name,
                               .port = port,
                               .ipv6 = ipv6,
                               .done = done,
                               .ctx = ctx};
    net_dns_start(&h->query, dns, name, DNS_A, v4_known, h);
}

void
net_dns_host_cancel(struct net_dns_host *h)
{
    net_dns_cancel(&h->query);
}
