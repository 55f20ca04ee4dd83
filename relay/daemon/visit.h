/*
 * relay/daemon/visit - calls on one host as a delivery would, looks at what it
 * offers and proves, and leaves before MAIL.
 *
 *     dial -> greeting -> EHLO -> STARTTLS, as the plan demands -> EHLO -> QUIT
 *
 * Belongs to a worker's thread.  The rules of relay/net/dial.h hold for the
 * slot.
 */
#ifndef RELAY_DAEMON_VISIT_H
#define RELAY_DAEMON_VISIT_H

#include "relay/daemon/candidate.h"
#include "relay/daemon/worker.h"
#include "smtp/capability.h"

enum visit_state {
    VISIT_GOOD,    /* mail would be handed over here */
    VISIT_REFUSED, /* it would not: the policy is not met, or the host said no
                    */
    VISIT_UNKNOWN, /* the host could not be reached, or has no time now */
};

struct visit_report {
    enum visit_state state;
    char why[240];    /* not GOOD; or what a GOOD one leaves to be desired */
    const char *step; /* how far it got: "connect", "greeting", "TLS", ... */
    struct addr address;
    char *policy; /* "mta-sts enforce"; see candidate_policy */
    enum policy_proof proof;
    int64_t took_ms;
    bool in_clear; /* GOOD: mail would go without TLS */
    bool has_tls;  /* a handshake was begun: the next two */
    struct net_tls_facts tls;
    struct net_tls_chain chain;
    bool has_greeted; /* EHLO was answered: */
    struct smtp_capability capability;
};

struct visit;

/* The report is borrowed: good during the call. */
typedef void visit_fn(void *ctx, const struct visit_report *report);

/* What the candidate points at, and the text, have to outlive the visit.  It
 * ends within `limit_ms`. */
void visit_start(struct visit **slot, struct worker *w,
                 const struct candidate *at, const char *destination,
                 uint64_t limit_ms, visit_fn *done, void *ctx);
void visit_cancel(struct visit **slot);

#endif
