/*
 * policy/plan - from facts to a decision: which hosts, and what each must
 * prove before MAIL FROM.
 *
 * A pure function, held by one exhaustive table test and one property: adding
 * a requirement never allows a weaker channel.  DANE, REQUIRETLS and
 * TLS-Required come in as further fields of the inputs.
 */
#ifndef POLICY_PLAN_H
#define POLICY_PLAN_H

#include "policy/lookup.h"
#include "relay/mail/status.h"

/* TLS level of a local rule or a route; each includes those before it. */
enum policy_level {
    POLICY_LEVEL_NONE,          /* routes only: never TLS */
    POLICY_LEVEL_OPPORTUNISTIC, /* when offered, unverified; else clear */
    POLICY_LEVEL_REQUIRED,      /* TLS, unverified */
    POLICY_LEVEL_VERIFIED,      /* TLS and a certificate for the host's name */
};

/* What a connection must have proven. */
enum policy_proof {
    POLICY_PROOF_CLEAR,   /* nothing, and do not try TLS */
    POLICY_PROOF_NONE,    /* nothing: TLS when offered, clear when it fails */
    POLICY_PROOF_ENCRYPT, /* TLS */
    POLICY_PROOF_PKIX,    /* TLS 1.2, certificate valid for the host's name */
    POLICY_PROOF_DANE,    /* TLS 1.2, certificate matches TLSA records */
};

/* Where the proof comes from: for logs, trace and bounces. */
enum policy_source {
    POLICY_SOURCE_DEFAULT,
    POLICY_SOURCE_LOCAL, /* the configuration: policy, domain or route */
    POLICY_SOURCE_STS,
    POLICY_SOURCE_DANE,
    POLICY_SOURCE_REQUIRETLS,
};

struct policy_inputs {
    const struct policy_facts *facts;
    enum policy_level level; /* local rule of this domain, or of the route */
    bool implicit_tls;       /* routes to port 465 */
    unsigned port;
    bool is_route; /* hosts of a route: level is what counts */
};

enum policy_verdict {
    POLICY_GO,     /* try the hosts in order */
    POLICY_DEFER,  /* not now: status 4yz */
    POLICY_REFUSE, /* never: status 5yz */
};

struct policy_host {
    char name[DNS_NAME_MAX + 1]; /* as published: SNI and reference name */
    struct addr addresses[POLICY_ADDRESSES_MAX]; /* with port */
    size_t address_count;
    enum policy_proof proof;
    enum policy_source source;
    bool implicit_tls;
    bool observe; /* STS testing: check as PKIX, record, deliver all the same */
};

/* A host that may not be used, and why: for trace and reports. */
struct policy_rejected_host {
    char name[DNS_NAME_MAX + 1];
    char why[160];
};

struct policy_plan {
    enum policy_verdict verdict;
    struct mail_status status; /* DEFER, REFUSE: names the policy that failed */
    enum policy_source source; /* of a DEFER or REFUSE */
    struct policy_host *hosts;
    size_t host_count;
    struct policy_rejected_host *rejected;
    size_t rejected_count;
};

/* Always fills `out`; release with policy_plan_done. */
void policy_plan_make(const struct policy_inputs *in, struct policy_plan *out);
void policy_plan_done(struct policy_plan *p);

const char *policy_level_name(enum policy_level l);   /* "verified" */
const char *policy_proof_name(enum policy_proof p);   /* "pkix" */
const char *policy_source_name(enum policy_source s); /* "mta-sts" */

#endif
