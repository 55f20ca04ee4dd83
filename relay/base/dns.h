/*
 * relay/base/dns - DNS answers as values, and the reader that makes them.
 *
 * The reader takes the octets of a DNS message and never looks behind their
 * end, whatever the message claims (RFC 1035 section 4.1).  It knows nothing
 * of sockets: relay/net/dns asks, this reads, policy decides.
 */
#ifndef RELAY_BASE_DNS_H
#define RELAY_BASE_DNS_H

#include "relay/base/err.h"
#include "relay/base/own.h"
#include "relay/base/slice.h"

#include <netinet/in.h>
#include <stdint.h>

enum {
    DNS_NAME_MAX = 255,
    DNS_RECORDS_MAX = 100,      /* of one answer, the rest is dropped */
    DNS_CNAMES_MAX = 10,        /* links of one chain */
    DNS_TXT_MAX = 4096,         /* of one TXT record, strings joined */
    DNS_TTL_MAX = 24 * 60 * 60, /* seconds; longer ones are cut */
    DNS_NEGATIVE_TTL_MAX = 15 * 60,
};

enum dns_type {
    DNS_A = 1,
    DNS_CNAME = 5,
    DNS_PTR = 12,
    DNS_MX = 15,
    DNS_TXT = 16,
    DNS_AAAA = 28,
    DNS_TLSA = 52,
};

enum dns_outcome {
    DNS_FOUND,    /* at least one record of the type; `count` is 0 only
                     when every MX host was dropped */
    DNS_NODATA,   /* the name exists, without such records */
    DNS_NXDOMAIN, /* the name does not exist */
    DNS_FAILED,   /* SERVFAIL, REFUSED, bogus, malformed, timeout: unknown */
};

struct dns_record {
    uint32_t ttl_s;
    union {
        struct in_addr a;
        struct in6_addr aaaa;
        struct {
            uint16_t preference;
            char host[DNS_NAME_MAX + 1]; /* lower case, no trailing dot; ""
                                            is the root: a null MX */
        } mx;
        struct {
            char host[DNS_NAME_MAX + 1]; /* likewise, a host's name */
        } ptr;
        struct {
            char *p; /* strings joined, NUL behind; the answer owns it */
            size_t len;
        } txt;
        struct {
            uint8_t usage, selector, matching;
            uint8_t *data; /* the answer owns it */
            size_t len;
        } tlsa;
    };
};

struct dns_answer {
    enum dns_type type;
    enum dns_outcome outcome;
    bool authentic; /* AD, from a resolver we may believe */
    uint32_t ttl_s; /* how long it may be kept: least of all records and
                       CNAMEs; of the SOA when negative (RFC 2308) */
    char name[DNS_NAME_MAX + 1];      /* asked for; lower case */
    char canonical[DNS_NAME_MAX + 1]; /* behind the CNAMEs; = name without.
                                         Type CNAME: where it leads */
    char why[120];              /* FAILED: for people, "SERVFAIL", "timeout" */
    struct dns_record *records; /* owned */
    size_t count;
};

/* Reads the answer to the question (name, type) out of a message.  Malformed
 * messages give DNS_FAILED with the reason in `why`, so this always fills
 * `out`; a record whose own data is malformed is left out and makes the whole
 * answer DNS_FAILED when none is left.  MX hosts that are no host names are
 * dropped.  Release with dns_answer_done. */
void dns_answer_read(const uint8_t *message, size_t len, const char *name,
                     enum dns_type type, struct dns_answer *out);
void dns_answer_fail(struct dns_answer *out, const char *name,
                     enum dns_type type, const char *why);
void dns_answer_copy(const struct dns_answer *from, struct dns_answer *to);
void dns_answer_done(struct dns_answer *a);

/* Writes a query with recursion desired, AD set and an EDNS(0) OPT record of
 * 1232 octets, DO clear (RFC 6891).  Returns its length, 0 when the name is
 * no domain name. */
size_t dns_query_write(uint16_t id, const char *name, enum dns_type type,
                       uint8_t out[300]);

const char *dns_type_name(enum dns_type type);

#endif
