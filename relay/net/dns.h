/*
 * relay/net/dns - asks DNS servers, on one loop (c-ares).
 *
 * Queries are written and answers read by relay/base/dns.h; c-ares carries
 * them: retries, several servers, TCP when an answer is truncated.  Answers
 * are kept for their TTL in a cache of bounded size; equal questions under
 * way are asked once.  Belongs to the loop's thread.
 */
#ifndef RELAY_NET_DNS_H
#define RELAY_NET_DNS_H

#include "relay/base/addr.h"
#include "relay/base/dns.h"
#include "relay/base/err.h"

#include <uv.h>

enum {
    NET_DNS_CACHE_MAX = 10000, /* answers kept per loop */
    NET_DNS_TRIES = 2,         /* per server */
};

struct net_dns_config {
    const struct addr *servers; /* with ports; none: /etc/resolv.conf */
    size_t server_count;
    int64_t timeout_ms; /* of one whole question, all tries */
    bool trust_ad;      /* the servers' AD bit may be believed */
    bool validate;      /* DNSSEC in process: see relay/net/dns_validator.h */
    const char *trust_anchor; /* for that; "" or NULL: the root's */
    bool recurse;             /* validate: ask from the root, not the servers */
};

struct net_dns;       /* one resolver client per loop */
struct net_dns_query; /* one question under way */

/* The answer is borrowed: copy what must outlive the call. */
typedef void net_dns_fn(void *ctx, const struct dns_answer *answer);

struct net_dns *net_dns_new(uv_loop_t *loop,
                            const struct net_dns_config *config,
                            struct err *err) must_use;
/* Queries that are under way are answered first; no new one may start. */
void net_dns_free(struct net_dns **dns);

/* The rules of relay/net/dial.h hold: `done` comes later even for an answer
 * from the cache, and never behind a cancel. */
void net_dns_start(struct net_dns_query **slot, struct net_dns *dns,
                   const char *name, enum dns_type type, net_dns_fn *done,
                   void *ctx);
void net_dns_cancel(struct net_dns_query **slot);

/* Are all its servers on this machine?  Then an AD bit has come over no wire
 * (RFC 6840 section 5.8). */
bool net_dns_is_local(const struct net_dns_config *config);

/* Forgets what is kept about a name (and every answer, for NULL). */
void net_dns_forget(struct net_dns *dns, const char *name);

#endif
