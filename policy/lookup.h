/*
 * policy/lookup - finds out all that the plan for one domain needs to know.
 *
 * An engine without I/O: it asks, the driver answers, in any order, and time
 * is told.  It ends with a struct policy_facts, which plan.h turns into a
 * decision.
 *
 *     next() -> ask MX, TXT _mta-sts, cache   | answer_dns, answer_cache
 *     next() -> ask FETCH (addresses known)   | answer_fetch
 *     next() -> ask A, AAAA of each host      | answer_dns
 *     next() -> ask TLSA, CNAME of each host  | answer_dns
 *     next() -> false and is_over(): facts
 *
 * Every ask has a number; the answer names it.  Temporary failures are facts
 * too: what could not be learnt is never taken for "there is nothing".
 */
#ifndef POLICY_LOOKUP_H
#define POLICY_LOOKUP_H

#include "policy/dane.h"
#include "policy/sts.h"
#include "relay/base/addr.h"
#include "relay/base/dns.h"

enum {
    POLICY_HOSTS_MAX = 20,    /* MX hosts tried; the rest is dropped */
    POLICY_ADDRESSES_MAX = 5, /* per host and in all tried per host */
    POLICY_PORT = 25,         /* RFC 5321 section 4.5.4.2 */
    POLICY_FETCH_BACKOFF_MS = 5 * 60 * 1000, /* RFC 8461 section 3.3 */
};

enum policy_ask_kind {
    POLICY_ASK_DNS,   /* name, type -> answer_dns */
    POLICY_ASK_CACHE, /* name: the STS cache of this domain -> answer_cache */
    POLICY_ASK_FETCH, /* name: host to GET from, addresses -> answer_fetch */
    POLICY_ASK_KEEP,  /* entry: put it into the cache; no answer.  If keeping
                         fails, the entry applies all the same */
};

struct policy_ask {
    enum policy_ask_kind kind;
    unsigned number;
    const char *name; /* good until the lookup is freed */
    enum dns_type type;
    const struct addr *addresses; /* FETCH: port not set */
    size_t address_count;
    const struct policy_sts_entry *entry; /* KEEP: good until the next call */
};

/* What to look up. */
struct policy_question {
    const char *domain;     /* policy domain: of the recipient, or of a route's
                               host; A-label form */
    bool is_literal;        /* "[192.0.2.1]": no MX, no policy */
    const char *const *via; /* hosts of a smarthost route, in order, instead of
                               MX records; NULL: MX of the domain.  Address
                               literals without brackets are allowed */
    size_t via_count;
    bool sts;           /* MTA-STS is wanted */
    bool refresh;       /* fetch the policy even with an unchanged id */
    bool allow_special; /* addresses that addr_is_special is true for may be
                           used (loopback test beds, private relays) */
    bool ipv6;          /* IPv6 addresses may be used */
    uint64_t shuffle;   /* random seed for MX of equal preference */
    bool dane;          /* TLSA records are wanted */
    bool half_dane;     /* also where the MX records are not authentic */
    unsigned port;      /* whose TLSA records; 0: POLICY_PORT */
    const unsigned *via_ports; /* the same for each of `via`; NULL: `port` */
};

enum policy_mx_state {
    POLICY_MX_FOUND,
    POLICY_MX_IMPLICIT,  /* no MX records: the domain itself (RFC 5321 5.1) */
    POLICY_MX_VIA,       /* hosts of a route, or a literal */
    POLICY_MX_NULL,      /* the domain takes no mail (RFC 7505) */
    POLICY_MX_NO_DOMAIN, /* NXDOMAIN */
    POLICY_MX_UNKNOWN,   /* could not be learnt: defer */
};

enum policy_host_state {
    POLICY_HOST_FOUND,
    POLICY_HOST_NONE,    /* no address at all, or only forbidden ones */
    POLICY_HOST_UNKNOWN, /* could not be learnt */
};

enum policy_tlsa_state {
    POLICY_TLSA_OFF,      /* not wanted; or the host has no address, or is
                             nothing but one */
    POLICY_TLSA_NONE,     /* the host publishes none */
    POLICY_TLSA_INSECURE, /* something on the way to them is not authentic:
                             as though there were none */
    POLICY_TLSA_FOUND,    /* authentic records, usable or not */
    POLICY_TLSA_FAILED,   /* could not be learnt: not this host, not now */
};

struct policy_host_facts {
    char name[DNS_NAME_MAX + 1];
    uint16_t preference;
    enum policy_host_state state;
    char why[120];                               /* when not FOUND */
    struct addr addresses[POLICY_ADDRESSES_MAX]; /* port not set; families
                                                    take turns */
    size_t address_count;
    bool authentic;         /* MX and address answers were all authenticated */
    bool address_authentic; /* the answer that gave `canonical` was */
    /* FOUND: the name behind the CNAMEs of the address answers. */
    char canonical[DNS_NAME_MAX + 1];
    enum policy_tlsa_state tlsa_state;
    char tlsa_why[160];               /* INSECURE, FAILED */
    char tlsa_base[DNS_NAME_MAX + 1]; /* FOUND: the TLSA base domain */
    struct policy_dane_set tlsa;      /* FOUND: all of them, as published */
};

enum policy_sts_state {
    POLICY_STS_STATE_OFF,     /* not wanted */
    POLICY_STS_STATE_ABSENT,  /* the domain publishes none */
    POLICY_STS_STATE_CACHED,  /* from the cache, unexpired */
    POLICY_STS_STATE_FRESH,   /* fetched just now */
    POLICY_STS_STATE_FAILED,  /* a record, no policy to be had, none cached:
                                 as though there were none, and reported */
    POLICY_STS_STATE_UNKNOWN, /* TXT could not be learnt, none cached; or no
                                 policy to be had, and the cache could not be
                                 read: defer */
};

/* What kept a policy from being had, for reports (RFC 8460 section 4.3). */
enum policy_sts_failure {
    POLICY_STS_FAILURE_NONE, /* nothing; or it was found out before, and is
                                not tried again yet */
    POLICY_STS_FAILURE_FETCH,
    POLICY_STS_FAILURE_TLS,     /* the policy host's certificate */
    POLICY_STS_FAILURE_INVALID, /* record or policy are malformed */
};

struct policy_facts {
    struct mail_domain domain;
    bool is_literal;
    enum policy_mx_state mx;
    char mx_why[120];
    bool mx_authentic;
    /* The domain behind the CNAMEs of the MX answer; "" without one. */
    char mx_canonical[DNS_NAME_MAX + 1];
    struct policy_host_facts *hosts; /* in the order in which to try them */
    size_t host_count;
    enum policy_sts_state sts_state;
    struct policy_sts sts; /* CACHED, FRESH */
    /* The same, as it should be kept; in other states what is remembered of
     * failures. */
    struct policy_sts_entry sts_entry;
    /* FAILED, UNKNOWN; or why a cached one was not renewed. */
    char sts_why[240];
    enum policy_sts_failure sts_failure;
    bool sts_tls_failed;   /* the policy host's certificate was the trouble */
    int64_t good_until_ms; /* least TTL of all answers, and no longer than the
                              policy; steady clock */
};

struct policy_lookup;

struct policy_lookup *policy_lookup_new(const struct policy_question *q,
                                        int64_t now_ms);
void policy_lookup_free(struct policy_lookup **l);

bool policy_lookup_next(struct policy_lookup *l, struct policy_ask *ask);
void policy_lookup_answer_dns(struct policy_lookup *l, unsigned number,
                              const struct dns_answer *answer, int64_t now_ms);
/* entry NULL: nothing is cached; err not NULL: whether something is could not
 * be learnt. */
void policy_lookup_answer_cache(struct policy_lookup *l, unsigned number,
                                const struct policy_sts_entry *entry,
                                const struct err *err, int64_t now_ms);
/* err NULL: `body` is the 200 response. */
void policy_lookup_answer_fetch(struct policy_lookup *l, unsigned number,
                                struct slice body, const struct err *err,
                                int64_t now_ms);

bool policy_lookup_is_over(const struct policy_lookup *l);
/* Only when over: moves the facts out; release with policy_facts_done. */
void policy_lookup_take_facts(struct policy_lookup *l,
                              struct policy_facts *out);
void policy_facts_done(struct policy_facts *f);

const char *policy_mx_state_name(enum policy_mx_state state);   /* "found" */
const char *policy_sts_state_name(enum policy_sts_state state); /* "fresh" */

#endif
