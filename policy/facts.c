/* What a look-up found: its words, and its end. */
#include "policy/lookup.h"

#include <stdlib.h>

const char *
policy_mx_state_name(enum policy_mx_state state)
{
    static const char *const names[] = {
        [POLICY_MX_FOUND] = "found",        [POLICY_MX_IMPLICIT] = "implicit",
        [POLICY_MX_VIA] = "route",          [POLICY_MX_NULL] = "null",
        [POLICY_MX_NO_DOMAIN] = "nxdomain", [POLICY_MX_UNKNOWN] = "unknown",
    };

    return names[state];
}

const char *
policy_sts_state_name(enum policy_sts_state state)
{
    static const char *const names[] = {
        [POLICY_STS_STATE_OFF] = "off",
        [POLICY_STS_STATE_ABSENT] = "absent",
        [POLICY_STS_STATE_CACHED] = "cached",
        [POLICY_STS_STATE_FRESH] = "fresh",
        [POLICY_STS_STATE_FAILED] = "failed",
        [POLICY_STS_STATE_UNKNOWN] = "unknown",
    };

    return names[state];
}

void
policy_facts_done(struct policy_facts *f)
{
    for (size_t i = 0; i < f->host_count; i++)
        policy_dane_done(&f->hosts[i].tlsa);
    free(f->hosts);
    policy_sts_done(&f->sts);
    policy_sts_entry_done(&f->sts_entry);
    *f = (struct policy_facts){0};
}
