/*
 * policy/channel - may a message go over this connection?
 *
 * The last gate before MAIL FROM: what the plan wants of the host against what
 * the connection has shown, however it came about, and whoever used it before.
 *
 *     proof     needs
 *     -----     -----
 *     clear     nothing
 *     none      nothing
 *     encrypt   TLS
 *     pkix      TLS, and a certificate that holds for the host's name
 *     dane      TLS, and a certificate that holds by the TLSA records
 *
 * Fingerprints need a certificate that is one of them, and REQUIRETLS a host
 * that offers it, in addition.
 */
#ifndef POLICY_CHANNEL_H
#define POLICY_CHANNEL_H

#include "policy/plan.h"

/* Zeroed: a connection without TLS. */
struct policy_channel {
    bool has_tls;
    /* By name or by TLSA records, whichever the host's proof asked for. */
    bool is_verified;
    bool is_stranger; /* the certificate is none of the host's fingerprints */
    bool offers_requiretls;
};

enum policy_channel_verdict {
    POLICY_CHANNEL_GOOD,
    POLICY_CHANNEL_UNPROVEN,
    POLICY_CHANNEL_NO_REQUIRETLS, /* proven, and RFC 8689 section 4.2.1 wants
                                     more */
};

/* `proof` is the host's, or more where the port is one for TLS. */
enum policy_channel_verdict
policy_channel_weigh(const struct policy_host *h, enum policy_proof proof,
                     const struct policy_channel *c);

#endif
