/*
 * relay/daemon/trust - whom a worker believes about MX hosts, where a domain or
 * a route names trust anchors of its own.
 *
 * One TLS context for each file of the configuration, so that sessions are
 * never resumed across them either.  Belongs to a worker's thread.
 */
#ifndef RELAY_DAEMON_TRUST_H
#define RELAY_DAEMON_TRUST_H

#include "relay/config/config.h"
#include "relay/net/tls.h"

struct trust;

/* Reads all files; NULL: one of them can't be used. */
struct trust *trust_new(const struct config *c, struct err *err) must_use;
/* The same, on whatever thread; the anchors are in memory once. */
struct trust *trust_like(const struct trust *other);
void trust_free(struct trust **t);

/* The context for a file; one that trusts nobody for a file that the
 * configuration no longer names.  Borrowed. */
struct net_tls *trust_find(const struct trust *t, const char *anchors);

#endif
