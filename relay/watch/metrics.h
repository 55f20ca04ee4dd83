/*
 * relay/watch/metrics - what the relay counts for monitoring.
 *
 * The families and their labels; who counts names one of them.  Gauges are not
 * here: relay/admin looks when it is asked.  Any thread.
 */
#ifndef RELAY_WATCH_METRICS_H
#define RELAY_WATCH_METRICS_H

#include "queue/store.h"
#include "relay/base/metric.h"
#include "relay/mail/status.h"

enum metrics_family {
    METRICS_ACCEPTED,        /* by listener, or another way in */
    METRICS_REFUSED,         /* by reason, code */
    METRICS_RESULTS,         /* by result, route, class of the reply, site */
    METRICS_FAILURES,        /* by what went wrong, route */
    METRICS_DELAY,           /* by result, route; once, at a recipient's end */
    METRICS_ATTEMPT,         /* by where it ended */
    METRICS_PHASE,           /* by part of an attempt; enum metrics_phase */
    METRICS_THROTTLES,       /* by route: hosts that said it was too much, */
    METRICS_THROTTLED,       /* and how long nothing was sent for that */
    METRICS_POLICY,          /* by policy, mode, whether it was met */
    METRICS_TLS,             /* by direction, version, verdict on the peer */
    METRICS_REQUIRETLS,      /* by what became of the demand */
    METRICS_FALLBACKS,       /* to clear text */
    METRICS_REFUSALS,        /* by policies */
    METRICS_SHADOWS,         /* what "report" would have refused */
    METRICS_CONNECTIONS_IN,  /* by listener */
    METRICS_CONNECTIONS_OUT, /* by how they came about */
    METRICS_FETCHES,         /* of MTA-STS policies, by result */
    METRICS_VALIDATIONS,     /* of DNS answers about policies, by result */
    METRICS_REPORTS,         /* about TLS, by result */
    METRICS_REPORTED,        /* sessions in such reports, by result */
    METRICS_RELOADS,         /* by result */
    METRICS_TOKENS,          /* access tokens fetched, by route, result */
    METRICS_LOGINS,          /* by result, listener */
    METRICS_AUTH_FAILURES,   /* by listener */
    METRICS_COMMIT,          /* of the store */
    METRICS_STORE_ERRORS,    /* by kind */
    METRICS_WEBHOOKS,        /* by name, result */
    METRICS_NOTICES_LIMITED, /* bounces and the like that wait */
    METRICS_FAMILIES
};

struct metric_set *metrics_new(void);

/* metrics_count(set, family, "label", ...): one more. */
#define metrics_count(set, family, ...)                                        \
    metric_add((set), (family), (const char *const[]){__VA_ARGS__, NULL}, 1)

/* What became of one recipient. */
struct metrics_delivery {
    const struct queue_result *result;
    const struct mail_status *status;    /* what it comes of */
    const struct queue_attempt *attempt; /* or NULL */
    const char *destination;             /* it was waiting for */
    const char *site;                    /* see relay/watch/sites.h */
    int64_t delay_ms;                    /* since it was accepted */
    bool demands_requiretls;
};

void metrics_result(struct metric_set *s, const struct metrics_delivery *d);

/* The name of a destination's route; "mx" where there is none: what the
 * operator named, never what a recipient did. */
const char *metrics_route(const char *destination);

/* One attempt to hand over. */
void metrics_attempt(struct metric_set *s, const struct queue_attempt *a);

/* A client was refused. */
void metrics_refuse(struct metric_set *s, const struct mail_status *status);

/* A session with TLS, or one of ours without (NULL): version, and what the
 * certificate of the other side was worth, in words of its own. */
void metrics_tls(struct metric_set *s, bool is_in, const char *version,
                 const char *verdict);

enum metrics_phase {
    METRICS_NO_PHASE,
    METRICS_DNS,
    METRICS_CONNECT,
    METRICS_HANDSHAKE,
    METRICS_MAIL, /* until the host wants the message, */
    METRICS_DATA, /* and until its verdict */
};

void metrics_phase(struct metric_set *s, enum metrics_phase phase, int64_t us);

#endif
