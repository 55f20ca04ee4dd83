/*
 * policy/dane - TLSA records as values: which of them count, and for what
 * names (RFC 6698, RFC 7671, RFC 7672).
 *
 * Nothing here looks at a certificate: relay/net/tls does, with the records
 * that were chosen here.  Whether an answer was secure, policy/lookup knows.
 */
#ifndef POLICY_DANE_H
#define POLICY_DANE_H

#include "relay/base/buf.h"
#include "relay/base/dns.h"

enum {
    POLICY_DANE_RECORDS_MAX = 100, /* of one host, the rest is dropped */
    POLICY_DANE_NAMES_MAX = 4,
};

/* RFC 6698 section 2.1, acronyms of RFC 7218. */
enum policy_dane_usage {
    POLICY_DANE_PKIX_TA,
    POLICY_DANE_PKIX_EE,
    POLICY_DANE_TA,
    POLICY_DANE_EE,
};

enum policy_dane_selector {
    POLICY_DANE_CERT,
    POLICY_DANE_SPKI,
};

enum policy_dane_matching {
    POLICY_DANE_FULL,
    POLICY_DANE_SHA2_256,
    POLICY_DANE_SHA2_512,
};

/* Numbers as they came: any octet may stand there. */
struct policy_dane_record {
    uint8_t usage, selector, matching;
    uint8_t *data;
    size_t len; /* a DNS message bounds it */
};

/* Owns its records and their data; zeroed storage is an empty set. */
struct policy_dane_set {
    struct policy_dane_record *records;
    size_t count;
};

/* Adds copies of the records of a TLSA answer. */
void policy_dane_add(struct policy_dane_set *to,
                     const struct dns_answer *answer);
void policy_dane_done(struct policy_dane_set *s);

/* Can this record ever match?  Usages 0 and 1 can't (RFC 7672 section 3.1.3),
 * nor can unknown numbers or a digest of the wrong length.  A full value has
 * to look like DER; what is inside, OpenSSL finds out. */
bool policy_dane_is_usable(const struct policy_dane_record *r);
bool policy_dane_has_usable(const struct policy_dane_set *s);

/* Fills the empty set `to` with copies of those records to verify against, in
 * their order: the usable ones, and of the digests of one usage and selector
 * only the strongest (RFC 7671 section 9). */
void policy_dane_choose(const struct policy_dane_set *from,
                        struct policy_dane_set *to);

/* Appends "3 1 1 ab12..." (RFC 6698 section 2.2). */
void policy_dane_format(const struct policy_dane_record *r, struct buf *out);

/* The names of which a certificate below a trust anchor has to have one. */
struct policy_dane_names {
    char text[POLICY_DANE_NAMES_MAX][DNS_NAME_MAX + 1];
    size_t count;
};

/* RFC 7672 section 3.2.2: the TLSA base domain first, then the domain of the
 * mail and what it is an alias of, then the host as its MX record names it;
 * each once.  "" where there is none. */
void policy_dane_names(const char *base, const char *next_hop,
                       const char *expanded, const char *host,
                       struct policy_dane_names *out);

#endif
