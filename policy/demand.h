/*
 * policy/demand - may mail go to this host, and what has a connection to it to
 * prove?
 *
 * The part of policy/plan that weighs one host; hosts don't depend on each
 * other.  From the strongest to the weakest:
 *
 *     usable TLSA records       DANE
 *     MTA-STS, enforce          PKIX
 *     REQUIRETLS                PKIX, and only where the name is authentic
 *     unusable TLSA records     ENCRYPT
 *     level, port, fingerprint  what the operator says
 *
 * The list of an MTA-STS policy in force bars hosts whatever DANE says.  Where
 * the operator requires DANE, all below the first line is out of the question.
 *
 * Records below MX records that are not authentic are among the facts only
 * where the operator wants them; they count for as much, but for REQUIRETLS.
 */
#ifndef POLICY_DEMAND_H
#define POLICY_DEMAND_H

#include "policy/plan.h"

enum policy_fate {
    POLICY_FATE_ADMITTED,
    POLICY_FATE_UNLISTED,   /* the MTA-STS policy bars it */
    POLICY_FATE_NO_ADDRESS, /* it has none */
    POLICY_FATE_UNKNOWN,    /* its addresses could not be learnt */
    POLICY_FATE_UNTOLD,     /* its TLSA records could not be learnt */
    POLICY_FATE_NOT_DANE,   /* the operator requires DANE of it */
    POLICY_FATE_UNPROVEN,   /* REQUIRETLS can't be had from it */
};

enum { POLICY_FATES = POLICY_FATE_UNPROVEN + 1 };

struct policy_demand {
    enum policy_fate fate;
    /* Why it is not admitted; of one that is, what MTA-STS in testing would
     * have said, or "". */
    char why[160];
    enum policy_source why_source;
    /* ADMITTED: */
    enum policy_proof proof;
    enum policy_source source;
    bool observe;
    struct policy_dane_set tlsa; /* DANE: the records that count */
};

/* Fills zeroed `out`.  `is_published`: MTA-STS and DANE count;
 * DANE that is required does in any case. */
void policy_demand_weigh(const struct policy_inputs *in, bool is_published,
                         const struct policy_host_facts *h,
                         struct policy_demand *out);
void policy_demand_done(struct policy_demand *d);

#endif
