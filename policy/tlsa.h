/*
 * policy/tlsa - where the TLSA records of a host are looked for (RFC 7672
 * section 2.2).
 *
 * The part of policy/lookup that follows on the addresses of one host.  It
 * asks nothing itself: it says which question is next, and takes the answer.
 *
 *     addresses   an alias?   asked, one after the other
 *     ---------   ---------   --------------------------
 *     authentic   no          TLSA of the host
 *     authentic   yes         TLSA of the canonical name; TLSA of the host
 *     not         no          nothing
 *     not         yes         CNAME of the host; if authentic, its TLSA
 *
 * Where the MX records are not authentic, nothing is asked, unless somebody
 * wants it all the same.  TLSA records below names that DNSSEC does not cover
 * are never asked for: there are servers of such names that fail on the
 * question, and mail would wait for ever.
 */
#ifndef POLICY_TLSA_H
#define POLICY_TLSA_H

#include "policy/lookup.h"

enum {
    POLICY_TLSA_ASKS_MAX = 2, /* of one host */
    /* "_65535._tcp." in front of a name; longer than a name may be. */
    POLICY_TLSA_NAME_SIZE = 12 + DNS_NAME_MAX + 1,
};

/* Zeroed storage with `port` set has nothing to ask. */
struct policy_tlsa {
    unsigned port;
    bool asks_alias;
    bool has_canonical, has_name; /* TLSA base domains still to be tried */
};

/* Once the addresses of `h` are settled. */
void policy_tlsa_begin(struct policy_tlsa *t, bool is_mx_good_enough,
                       struct policy_host_facts *h);

/* The next question; false when there is none, and the facts are settled. */
bool policy_tlsa_next(const struct policy_tlsa *t,
                      const struct policy_host_facts *h, enum dns_type *type,
                      char name[POLICY_TLSA_NAME_SIZE]);

/* The answer to the question that `next` gave. */
void policy_tlsa_answer(struct policy_tlsa *t, const struct dns_answer *answer,
                        struct policy_host_facts *h);

#endif
