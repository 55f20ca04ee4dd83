#include "policy/tlsa.h"

#include <stdio.h>
#include <strings.h>

static void
settle(struct policy_tlsa *t, struct policy_host_facts *h,
       enum policy_tlsa_state state, const char *what, const char *why)
{
    h->tlsa_state = state;
    snprintf(h->tlsa_why, sizeof(h->tlsa_why), "%s%.120s", what, why);
    t->asks_alias = t->has_canonical = t->has_name = false;
}

static void
query_name(unsigned port, const char *base, char name[POLICY_TLSA_NAME_SIZE])
{
    snprintf(name, POLICY_TLSA_NAME_SIZE, "_%u._tcp.%s", port, base);
}

/* Below the longest names there is no room for records. */
static bool
may_have_records(const struct policy_tlsa *t, const char *base)
{
    char name[POLICY_TLSA_NAME_SIZE];

    query_name(t->port, base, name);
    return strlen(name) <= MAIL_DOMAIN_MAX;
}

void
policy_tlsa_begin(struct policy_tlsa *t, bool is_mx_good_enough,
                  struct policy_host_facts *h)
{
    bool is_alias = strcasecmp(h->canonical, h->name) != 0;

    if (h->state != POLICY_HOST_FOUND)
        return;
    if (!is_mx_good_enough) {
        settle(t, h, POLICY_TLSA_INSECURE, "",
               "the MX records are not authentic");
    } else if (h->address_authentic) {
        h->tlsa_state = POLICY_TLSA_NONE;
        t->has_canonical = is_alias && may_have_records(t, h->canonical);
        t->has_name = may_have_records(t, h->name);
    } else if (is_alias) {
        t->asks_alias = true;
    } else {
        settle(t, h, POLICY_TLSA_INSECURE, "",
               "the addresses are not authentic");
    }
}

bool
policy_tlsa_next(const struct policy_tlsa *t, const struct policy_host_facts *h,
                 enum dns_type *type, char name[POLICY_TLSA_NAME_SIZE])
{
    if (!t->asks_alias && !t->has_canonical && !t->has_name)
        return false;
    *type = t->asks_alias ? DNS_CNAME : DNS_TLSA;
    if (t->asks_alias)
        snprintf(name, POLICY_TLSA_NAME_SIZE, "%s", h->name);
    else
        query_name(t->port, t->has_canonical ? h->canonical : h->name, name);
    return true;
}

/* RFC 7672 section 2.2.2: addresses below an alias into a zone without DNSSEC
 * still leave the alias itself to trust. */
static void
take_alias(struct policy_tlsa *t, const struct dns_answer *answer,
           struct policy_host_facts *h)
{
    switch (answer->outcome) {
    case DNS_FOUND:
        if (!answer->authentic) {
            settle(t, h, POLICY_TLSA_INSECURE, "",
                   "the CNAME is not authentic");
            return;
        }
        h->tlsa_state = POLICY_TLSA_NONE;
        t->asks_alias = false;
        t->has_name = may_have_records(t, h->name);
        return;
    case DNS_NODATA:
    case DNS_NXDOMAIN:
        settle(t, h, POLICY_TLSA_FAILED, "CNAME lookup: ", "no longer there");
        return;
    case DNS_FAILED:
        settle(t, h, POLICY_TLSA_FAILED, "CNAME lookup: ", answer->why);
        return;
    }
}

static void
take_records(struct policy_tlsa *t, const struct dns_answer *answer,
             struct policy_host_facts *h)
{
    const char *base = t->has_canonical ? h->canonical : h->name;

    snprintf(h->tlsa_base, sizeof(h->tlsa_base), "%s", base);
    policy_dane_add(&h->tlsa, answer);
    settle(t, h, POLICY_TLSA_FOUND, "", "");
}

static void
try_next(struct policy_tlsa *t)
{
    if (t->has_canonical)
        t->has_canonical = false;
    else
        t->has_name = false;
}

/* RFC 7672 section 2.1.2: what could not be learnt is never "there is none". */
static void
take_tlsa(struct policy_tlsa *t, const struct dns_answer *answer,
          struct policy_host_facts *h)
{
    switch (answer->outcome) {
    case DNS_FOUND:
        if (answer->authentic) {
            take_records(t, answer, h);
            return;
        }
        h->tlsa_state = POLICY_TLSA_INSECURE;
        snprintf(h->tlsa_why, sizeof(h->tlsa_why),
                 "the TLSA records are not authentic");
        try_next(t);
        return;
    case DNS_NODATA:
    case DNS_NXDOMAIN:
        try_next(t);
        return;
    case DNS_FAILED:
        settle(t, h, POLICY_TLSA_FAILED, "TLSA lookup: ", answer->why);
        return;
    }
}

void
policy_tlsa_answer(struct policy_tlsa *t, const struct dns_answer *answer,
                   struct policy_host_facts *h)
{
    if (t->asks_alias)
        take_alias(t, answer, h);
    else
        take_tlsa(t, answer, h);
}
