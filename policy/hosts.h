/*
 * policy/hosts - which hosts take the mail of a domain, and their addresses.
 *
 * The part of policy/lookup that turns DNS answers into hosts.  It asks
 * nothing and judges no policy.
 */
#ifndef POLICY_HOSTS_H
#define POLICY_HOSTS_H

#include "policy/lookup.h"

/* The hosts of an MX answer, in the order in which to try them: by preference
 * (RFC 5321 section 5.1), equal ones in an order that `shuffle` picks.  A host
 * that is named twice stands at its better preference.  `hosts` is the
 * caller's to free; it is NULL with a count of 0 when there are none. */
enum policy_mx_state policy_hosts_choose(const struct dns_answer *mx,
                                         const char *domain, uint64_t shuffle,
                                         struct policy_host_facts **hosts,
                                         size_t *count);

/* One host of that name, at the place `h`. */
void policy_hosts_name(struct policy_host_facts *h, const char *name);

/* The answers for one host, A and AAAA, until both are there. */
struct policy_hosts_family {
    bool asked, answered, failed, exists, authentic;
    struct addr addresses[POLICY_ADDRESSES_MAX];
    size_t count;
    char special[ADDR_TEXT_SIZE]; /* an address that may not be used, or "" */
    char canonical[DNS_NAME_MAX + 1];
    char why[120]; /* failed */
};

struct policy_hosts_answers {
    struct policy_hosts_family v4, v6;
};

void policy_hosts_answer(struct policy_hosts_answers *a,
                         const struct dns_answer *answer, bool allow_special);
bool policy_hosts_is_complete(const struct policy_hosts_answers *a);

/* Only when complete: sets state, why, addresses and canonical name of `h`, and
 * clears `authentic` when an answer was not. */
void policy_hosts_settle(const struct policy_hosts_answers *a,
                         struct policy_host_facts *h);

/* The host is an address already, as text without brackets. */
void policy_hosts_literal(struct policy_host_facts *h, const char *text,
                          bool ipv6, bool allow_special);

#endif
