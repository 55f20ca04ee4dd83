/*
 * relay/daemon/metrics - what the relay counts for monitoring.
 *
 * The families and their labels; who counts names one of them.  Gauges are not
 * here: relay/admin looks when it is asked.  Any thread.
 */
#ifndef RELAY_DAEMON_METRICS_H
#define RELAY_DAEMON_METRICS_H

#include "queue/store.h"
#include "relay/base/metric.h"

enum metrics_family {
    METRICS_ACCEPTED,        /* by way in */
    METRICS_REFUSED,         /* by code */
    METRICS_RESULTS,         /* by result, route, class of the reply */
    METRICS_FAILURES,        /* by what went wrong, route */
    METRICS_DELAY,           /* by result; once, at a recipient's end */
    METRICS_ATTEMPT,         /* by where it ended */
    METRICS_THROTTLES,       /* by route: hosts that said it was too much */
    METRICS_POLICY,          /* by policy, whether it was met */
    METRICS_TLS_OUT,         /* by version, verdict on the certificate */
    METRICS_REFUSALS,        /* by policies */
    METRICS_SHADOWS,         /* what "report" would have refused */
    METRICS_CONNECTIONS_IN,  /* by listener */
    METRICS_CONNECTIONS_OUT, /* by how they came about */
    METRICS_FETCHES,         /* of MTA-STS policies, by result */
    METRICS_REPORTS,         /* about TLS, by result */
    METRICS_RELOADS,         /* by result */
    METRICS_TOKENS,          /* access tokens fetched, by route, result */
    METRICS_LOGINS,          /* by result */
    METRICS_FAMILIES
};

extern const struct metric_family metrics_families[METRICS_FAMILIES];

struct metric_set *metrics_new(void);

/* metrics_count(set, family, "label", ...): one more. */
#define metrics_count(set, family, ...)                                        \
    metric_add((set), (family), (const char *const[]){__VA_ARGS__, NULL}, 1)

/* One recipient's result, with the attempt it comes of, or NULL.  `route`: the
 * destination it was waiting for.  `delay_ms`: since it was accepted. */
void metrics_result(struct metric_set *s, const struct queue_result *r,
                    const struct queue_attempt *a, const char *destination,
                    int64_t delay_ms);

/* The name of a destination's route; "mx" where there is none: what the
 * operator named, never what a recipient did. */
const char *metrics_route(const char *destination);

/* One attempt to hand over. */
void metrics_attempt(struct metric_set *s, const struct queue_attempt *a);

#endif
