/*
 * relay/daemon/dnssec - can DNS answers be authenticated here, and how?
 *
 * Probes at the start and from time to time: a resolver on this machine that
 * validates is trusted; else answers are validated in process, by way of the
 * configured servers where they pass signatures and from the root where they
 * do not; else nothing is authentic, and that is said loudly.  A resolver that
 * strips signatures from the start so never stops mail, and never turns DANE
 * off silently; once answers have been authenticated, only the configuration
 * or a new start turns it off.  A resolver that does not answer yet is waited
 * for, and turns nothing off.
 * Main thread.
 */
#ifndef RELAY_DAEMON_DNSSEC_H
#define RELAY_DAEMON_DNSSEC_H

#include "relay/daemon/relay.h"
#include "relay/net/dns.h"

enum {
    DNSSEC_AGAIN_MS = 10 * 60 * 1000, /* between probes */
    DNSSEC_SOON_MS = 60 * 1000,       /* when the resolver fails */
    DNSSEC_RETRY_MS = 1000,           /* when it says nothing */
    DNSSEC_PATIENCE_MS = 20 * 1000,   /* for its first answer */
};

enum dnssec_way {
    DNSSEC_OFF,
    DNSSEC_TRUST,    /* the servers' AD bit */
    DNSSEC_VALIDATE, /* in process, by way of the servers */
    DNSSEC_RECURSE,  /* in process, from the root */
};

/* Signed for as long as the root is, whatever lies behind. */
#define DNSSEC_SIGNED_NAME "org"

struct dnssec;

/* Begins to probe.  The workers are told of each decision; before the first
 * they look no name up. */
struct dnssec *dnssec_new(struct relay *relay);
/* No worker is about to follow any more: they have been cut off. */
void dnssec_free(struct dnssec **d);

/* The configuration changed: probe again. */
void dnssec_configure(struct dnssec *d);

enum dnssec_way dnssec_way(const struct dnssec *d);
const char *dnssec_way_name(enum dnssec_way way); /* "trust" */
/* Why it is so, for people. */
const char *dnssec_why(const struct dnssec *d);

/* How a resolver client has to be opened for that. */
struct net_dns_config dnssec_config(const struct config *c,
                                    enum dnssec_way way);

#endif
