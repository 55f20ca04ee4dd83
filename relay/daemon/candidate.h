/*
 * relay/daemon/candidate - the addresses that a plan allows, in the order in
 * which to try them, and the key under which a connection may be shared.
 */
#ifndef RELAY_DAEMON_CANDIDATE_H
#define RELAY_DAEMON_CANDIDATE_H

#include "policy/plan.h"
#include "relay/config/config.h"
#include "relay/daemon/outage.h"
#include "relay/net/tls.h"

struct candidate {
    const struct policy_host *host; /* of the plan */
    struct addr address;            /* with port */
    struct addr source;             /* AF_UNSPEC: the system chooses */
    bool implicit_tls;
    enum policy_proof proof; /* the host's; where the port is one for TLS, no
                                less than TLS */
};

/* Puts those that could not be connected to of late behind the others. */
void candidate_sort(struct candidate *list, size_t count, struct outage *o,
                    int64_t now_ms);

/* Up to POLICY_ADDRESSES_MAX of them; leaves out addresses that are our own
 * listeners' and hosts that bear our own name, with less preferred ones
 * (RFC 5321 section 5.1).  *loops: something was left out. */
size_t candidate_list(const struct policy_plan *plan, const struct config *c,
                      const struct config_route *route,
                      struct candidate out[POLICY_ADDRESSES_MAX], bool *loops);

/* "192.0.2.1:25 pkix mx.example.com ...": equal only for what proves the
 * same.  A heap string. */
char *candidate_key(const struct candidate *c, bool in_clear);

/* "mta-sts enforce", "opportunistic", "local verified": where the proof comes
 * from. */
const char *candidate_policy(const struct candidate *c);

/* What the connection has to show, for people: "TLS", "a certificate that
 * matches its TLSA records", ... */
const char *candidate_demand(const struct candidate *c);

/* Room for what the settings of a handshake point to. */
struct candidate_pins {
    struct net_tls_tlsa tlsa[POLICY_DANE_RECORDS_MAX];
    struct net_tls_fingerprint fingerprints[NET_TLS_FINGERPRINTS_MAX];
};

/* The settings of the handshake; borrows from the candidate, key and pins. */
struct net_tls_setup candidate_tls(const struct candidate *c,
                                   struct net_tls *tls, const char *key,
                                   struct candidate_pins *pins);

#endif
