/*
 * policy/cause - why a policy keeps mail back, in few words: what refusals are
 * counted by.
 */
#ifndef POLICY_CAUSE_H
#define POLICY_CAUSE_H

enum policy_cause {
    POLICY_CAUSE_NONE,
    /* before any connection */
    POLICY_CAUSE_UNLEARNT,     /* whether there is a policy */
    POLICY_CAUSE_UNLISTED,     /* by the MTA-STS policy */
    POLICY_CAUSE_NOT_DANE,     /* which is required here */
    POLICY_CAUSE_UNVERIFIABLE, /* REQUIRETLS, and nobody vouches for a name */
    /* of a connection */
    POLICY_CAUSE_NO_TLS,
    POLICY_CAUSE_HANDSHAKE,
    POLICY_CAUSE_EXPIRED, /* or not yet valid */
    POLICY_CAUSE_WRONG_NAME,
    POLICY_CAUSE_NOT_TRUSTED,
    POLICY_CAUSE_NO_TLSA_MATCH,
    POLICY_CAUSE_STRANGER, /* none of the fingerprints */
    POLICY_CAUSE_NO_REQUIRETLS,
};

const char *policy_cause_name(enum policy_cause c); /* "host not listed" */

#endif
