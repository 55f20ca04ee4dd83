/*
 * relay/daemon/probe - what would happen to mail for a domain now: looks
 * everything up anew, makes the plan, and calls on each host of it.
 *
 *     facts -> plan -> `planned` -> one visit per host, all at once -> `done`
 *
 * Of each host only its first address is called on.  Sends no mail, and is
 * over within PROBE_LIMIT_MS.  Belongs to a worker's thread.
 */
#ifndef RELAY_DAEMON_PROBE_H
#define RELAY_DAEMON_PROBE_H

#include "relay/daemon/visit.h"

enum {
    PROBE_MAX = 20,              /* under way at a time, per worker */
    PROBE_LOOKUP_MS = 75 * 1000, /* a policy host may take a minute */
    PROBE_VISIT_MS = 25 * 1000,
    PROBE_LIMIT_MS = PROBE_LOOKUP_MS + PROBE_VISIT_MS,
};

enum probe_verdict {
    PROBE_DELIVERABLE,
    PROBE_UNDELIVERABLE,
    PROBE_UNKNOWN, /* it could not be told: something failed for now */
};

struct probe_host {
    const struct policy_host *host; /* of the plan */
    bool is_left_out; /* it, or one preferred to it, is this relay itself */
    bool is_asked;    /* a report is there */
    struct visit_report report;
    /* private */
    struct probe *probe;
    struct visit *visit;
};

/* All of it borrowed, good during the call. */
struct probe_view {
    const struct policy_facts *facts; /* `done`: NULL, look at them earlier */
    const struct policy_plan *plan;
    const struct config_route *route;   /* `planned`: NULL for MX */
    const struct policy_inputs *inputs; /* `planned`: what is asked for here */
    bool is_exempt;
    const struct probe_host *hosts; /* `done`: those of the plan, in order */
    size_t host_count;
    enum probe_verdict verdict; /* `done` */
};

struct probe_events {
    void (*planned)(void *ctx, const struct probe_view *view);
    /* Once; view NULL: the relay is stopping, or (is_late) what has to be
     * known could not be learnt in time. */
    void (*done)(void *ctx, const struct probe_view *view, bool is_late);
};

struct probe;

/* Are there less than PROBE_MAX under way? */
bool probe_may_start(const struct worker *w);

/* destination: a domain, or "route:NAME".  only: the one host to call on, or
 * NULL.  The rules of relay/net/dial.h hold for the slot. */
void probe_start(struct probe **slot, struct worker *w, const char *destination,
                 const char *only, const struct probe_events *events,
                 void *ctx);

/* The relay stops: ends it at once, as `done` says. */
void probe_cut(struct probe *p);

#endif
