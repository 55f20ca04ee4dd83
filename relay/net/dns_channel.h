/*
 * relay/net/dns_channel - c-ares on a loop: carries messages, reads none.
 *
 * Retries, several servers, TCP when an answer is truncated are c-ares's part;
 * its sockets and its clock are watched here.
 */
#ifndef RELAY_NET_DNS_CHANNEL_H
#define RELAY_NET_DNS_CHANNEL_H

#include "relay/net/dns.h"

#include <stdint.h>

struct net_dns_channel;

/* The message that came, or NULL and why none did. */
typedef void net_dns_carried_fn(void *ctx, const uint8_t *message, size_t len,
                                const char *why);

struct net_dns_channel *
net_dns_channel_open(uv_loop_t *loop, const struct net_dns_config *config,
                     struct err *err) must_use;

/* Calls `carried` for all that is under way.  Never from inside of it. */
void net_dns_channel_close(struct net_dns_channel **slot);

/* `carried` runs exactly once, perhaps before this returns, and may itself
 * send. */
void net_dns_channel_send(struct net_dns_channel *ch, const uint8_t *query,
                          size_t len, net_dns_carried_fn *carried, void *ctx);

#endif
