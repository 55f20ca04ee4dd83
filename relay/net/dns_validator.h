/*
 * relay/net/dns_validator - DNSSEC validation in process (libunbound).
 *
 * Resolves on the caller's loop, through libunbound's pluggable event base:
 * by way of the configured servers, or from the root when there are none.
 * What it says is secure has been validated from the trust anchor down; what
 * is bogus is a failure with its reason (RFC 4033 section 5).
 */
#ifndef RELAY_NET_DNS_VALIDATOR_H
#define RELAY_NET_DNS_VALIDATOR_H

#include "relay/net/dns.h"

#include <stdint.h>

struct net_dns_validator;

/* The message that came and whether it is secure; or NULL and why none did. */
typedef void net_dns_validated_fn(void *ctx, const uint8_t *message, size_t len,
                                  bool secure, const char *why);

/* `trust_anchor`: a file with DS or DNSKEY records of the root; "" takes the
 * one of Debian's dns-root-data. */
struct net_dns_validator *
net_dns_validator_open(uv_loop_t *loop, const struct net_dns_config *config,
                       const char *trust_anchor, struct err *err) must_use;

/* Calls `validated` for all that is under way.  Never from inside of it. */
void net_dns_validator_close(struct net_dns_validator **slot);

/* `validated` runs exactly once, perhaps before this returns. */
void net_dns_validator_ask(struct net_dns_validator *v, const char *name,
                           enum dns_type type, net_dns_validated_fn *validated,
                           void *ctx);

#endif
