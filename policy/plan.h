/*
 * policy/plan - from facts to a decision: which hosts, and what each must
 * prove before MAIL FROM.
 *
 * A pure function, held by exhaustive table tests and one property: adding a
 * requirement never allows a weaker channel.
 *
 * What the recipient's domain publishes (MTA-STS, DANE) and what the operator
 * wrote down (level, fingerprints) add up; the strongest counts.  Two things
 * take the published part away: "TLS-Required: No" in the mail, and
 * `report_only`.  Nothing takes the operator's part away, which TLSA records
 * belong to where they are required, and REQUIRETLS brings the published part
 * back (RFC 8689 section 4.1).
 */
#ifndef POLICY_PLAN_H
#define POLICY_PLAN_H

#include "policy/cause.h"
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

/* A certificate that the operator knows, whoever issued it. */
enum policy_fingerprint_of {
    POLICY_FINGERPRINT_CERT, /* SHA-256 of the server's own certificate */
    POLICY_FINGERPRINT_KEY,  /* of the public key in it, as
                                SubjectPublicKeyInfo */
};

enum { POLICY_FINGERPRINT_LEN = 32 };

/* What TLSA records mean to the operator. */
enum policy_dane_rule {
    POLICY_DANE_IGNORED,
    POLICY_DANE_HEEDED,   /* where a host has some */
    POLICY_DANE_REQUIRED, /* a host without some that are usable, and that
                             authentic MX records lead to, is none */
};

struct policy_fingerprint {
    enum policy_fingerprint_of of;
    uint8_t sha256[POLICY_FINGERPRINT_LEN];
};

struct policy_inputs {
    const struct policy_facts *facts;
    enum policy_level level; /* local rule of this domain, or of the route */
    bool implicit_tls;       /* routes to port 465 */
    unsigned port;
    bool is_route; /* hosts of a route: level is what counts */
    enum policy_dane_rule dane;
    bool requiretls; /* of the mail (RFC 8689); outranks tls_required_no */
    /* The operator's: a host that does not offer the extension gets such mail
     * too, and all else that it asks for stays. */
    bool may_lose_requiretls;
    bool tls_required_no; /* of the mail: no published policy counts */
    /* The operator's: the certificate has to be one of them, whatever else is
     * asked of it.  None: any. */
    const struct policy_fingerprint *fingerprints;
    size_t fingerprint_count;
    /* File of the trust anchors that alone count where a certificate is
     * verified by its name; NULL or "": those of all hosts. */
    const char *anchors;
    /* Published policies are weighed, what they would change is noted, and
     * mail goes as though there were none; except with REQUIRETLS. */
    bool report_only;
};

enum policy_verdict {
    POLICY_GO,     /* try the hosts in order */
    POLICY_DEFER,  /* not now: status 4yz */
    POLICY_REFUSE, /* never: status 5yz */
};

struct policy_host {
    char name[DNS_NAME_MAX + 1];                 /* as published */
    size_t index;                                /* in facts->hosts */
    struct addr addresses[POLICY_ADDRESSES_MAX]; /* with port */
    size_t address_count;
    enum policy_proof proof;
    enum policy_source source;
    bool implicit_tls;
    bool observe; /* STS testing: check as PKIX, record, deliver all the same */
    /* With report_only: what would have to be proven, were policies enforced;
     * to be looked at all the same.  CLEAR: no more than `proof`. */
    enum policy_proof shadow_proof;
    enum policy_source shadow_source;
    /* PKIX, DANE-TA: the certificate has to have one of these names.  The
     * first is what SNI says (RFC 7672 section 8.1, RFC 8461 section 7.1). */
    struct policy_dane_names names;
    /* DANE: the MX records that lead here are not authentic.  The host is who
     * it says it is; whether it is the right one, nobody has said. */
    bool is_half_dane;
    /* DANE, be it in the shadow: the TLSA base domain, and the records to
     * verify against: usable ones only, the strongest of their digests.  The
     * plan owns them. */
    char dane_base[DNS_NAME_MAX + 1];
    struct policy_dane_set tlsa;
    /* In addition to the proof; the plan owns them. */
    const struct policy_fingerprint *fingerprints;
    size_t fingerprint_count;
    const char *anchors; /* PKIX: as in the inputs, never NULL; the plan's */
    /* The host has to offer REQUIRETLS inside TLS, else 5.7.30 (RFC 8689
     * section 4.2.1).  MAIL says so wherever it is offered. */
    bool requires_requiretls;
};

/* A host that may not be used, and why: for trace and reports. */
struct policy_rejected_host {
    char name[DNS_NAME_MAX + 1];
    char why[160];
    size_t index;              /* in facts->hosts */
    enum policy_source source; /* of the reason */
    bool lacks_dane;           /* the reason is that DANE is required */
};

/* With report_only: what published policies would have changed. */
struct policy_shadow {
    /* Of the host; "": no host would be left, and the mail would wait. */
    char name[DNS_NAME_MAX + 1];
    bool is_refused; /* would not be used; else would be used so: */
    enum policy_proof proof;
    enum policy_source source;
    enum policy_cause cause; /* no host would be left */
    char why[400];
};

struct policy_plan {
    enum policy_verdict verdict;
    struct mail_status status; /* DEFER, REFUSE: names the policy that failed */
    enum policy_source source; /* of a DEFER or REFUSE */
    enum policy_cause cause;   /* NONE: no policy is the reason */
    struct policy_host *hosts;
    size_t host_count;
    /* GO: some host is missing only because it could not be learnt, so that
     * what all these hosts can't do is no reason to give up for good. */
    bool is_partial;
    struct policy_rejected_host *rejected;
    size_t rejected_count;
    struct policy_shadow *shadow;
    size_t shadow_count;
    struct policy_fingerprint *fingerprints; /* those of the hosts */
    char *anchors;                           /* theirs */
};

/* Always fills `out`; release with policy_plan_done. */
void policy_plan_make(const struct policy_inputs *in, struct policy_plan *out);
void policy_plan_done(struct policy_plan *p);

/* Appends all that a connection to this host has proven when it is used, on one
 * line: connections and TLS sessions serve for other mail under an equal text
 * only. */
void policy_plan_host_key(const struct policy_host *h, struct buf *out);

const char *policy_level_name(enum policy_level l);   /* "verified" */
const char *policy_proof_name(enum policy_proof p);   /* "pkix" */
const char *policy_source_name(enum policy_source s); /* "mta-sts" */

#endif
