#include "policy/cause.h"

const char *
policy_cause_name(enum policy_cause c)
{
    static const char *const names[] = {
        [POLICY_CAUSE_NONE] = "none",
        [POLICY_CAUSE_UNLEARNT] = "policy not learnt",
        [POLICY_CAUSE_UNLISTED] = "host not listed",
        [POLICY_CAUSE_NOT_DANE] = "no usable TLSA records",
        [POLICY_CAUSE_UNVERIFIABLE] = "host not verifiable",
        [POLICY_CAUSE_NO_TLS] = "no TLS",
        [POLICY_CAUSE_HANDSHAKE] = "TLS handshake failed",
        [POLICY_CAUSE_EXPIRED] = "certificate expired",
        [POLICY_CAUSE_WRONG_NAME] = "certificate of another name",
        [POLICY_CAUSE_NOT_TRUSTED] = "certificate not trusted",
        [POLICY_CAUSE_NO_TLSA_MATCH] = "no TLSA record matches",
        [POLICY_CAUSE_STRANGER] = "certificate not pinned",
        [POLICY_CAUSE_NO_REQUIRETLS] = "no REQUIRETLS",
    };

    return names[c];
}
