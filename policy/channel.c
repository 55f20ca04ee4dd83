#include "policy/channel.h"

static bool
is_proven(const struct policy_host *h, enum policy_proof proof,
          const struct policy_channel *c)
{
    if (h->fingerprint_count > 0 && (!c->has_tls || c->is_stranger))
        return false;
    switch (proof) {
    case POLICY_PROOF_CLEAR:
    case POLICY_PROOF_NONE:
        return true;
    case POLICY_PROOF_ENCRYPT:
        return c->has_tls;
    case POLICY_PROOF_PKIX:
    case POLICY_PROOF_DANE:
        break;
    }
    return c->has_tls && c->is_verified;
}

enum policy_channel_verdict
policy_channel_weigh(const struct policy_host *h, enum policy_proof proof,
                     const struct policy_channel *c)
{
    if (!is_proven(h, proof, c))
        return POLICY_CHANNEL_UNPROVEN;
    if (h->requires_requiretls && !c->offers_requiretls)
        return POLICY_CHANNEL_NO_REQUIRETLS;
    return POLICY_CHANNEL_GOOD;
}
