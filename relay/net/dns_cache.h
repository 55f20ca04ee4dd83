/*
 * relay/net/dns_cache - DNS answers kept for their TTL, in bounded memory.
 *
 * When it is full the answer that was used longest ago makes room.  Failures
 * are not kept: the next question deserves a new attempt.  Time is told by the
 * caller, in milliseconds of any clock that does not jump.
 */
#ifndef RELAY_NET_DNS_CACHE_H
#define RELAY_NET_DNS_CACHE_H

#include "relay/base/dns.h"

struct net_dns_cache;

struct net_dns_cache *net_dns_cache_new(size_t answers_max, size_t octets_max);
void net_dns_cache_free(struct net_dns_cache **cache);

/* Keeps a copy, in place of what it had for the same question. */
void net_dns_cache_put(struct net_dns_cache *c, const struct dns_answer *a,
                       uint64_t now_ms);

/* Fills `out`, its TTLs shortened by the time it has been kept; false when
 * there is nothing. */
bool net_dns_cache_find(struct net_dns_cache *c, const char *name,
                        enum dns_type type, uint64_t now_ms,
                        struct dns_answer *out);

/* Forgets every type of a name; everything for NULL. */
void net_dns_cache_forget(struct net_dns_cache *c, const char *name);

/* How a question is written as one text, in here and in relay/net/dns.  The
 * name is in lower case. */
enum { NET_DNS_KEY_SIZE = DNS_NAME_MAX + 16 };
void net_dns_key(const char *name, enum dns_type type,
                 char out[NET_DNS_KEY_SIZE]);

#endif
