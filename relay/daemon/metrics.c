#include "relay/daemon/metrics.h"

#include "relay/base/own.h"

#include <string.h>

const struct metric_family metrics_families[METRICS_FAMILIES] = {
    [METRICS_ACCEPTED] = {"sealpost_messages_accepted",
                          "Messages taken over, committed and synced.",
                          METRIC_COUNTER,
                          {"source"}},
    [METRICS_REFUSED] = {"sealpost_messages_rejected",
                         "Commands and messages refused to clients.",
                         METRIC_COUNTER,
                         {"code"}},
    [METRICS_RESULTS] = {"sealpost_deliveries",
                         "Recipients by what came of an attempt.",
                         METRIC_COUNTER,
                         {"result", "route", "class"}},
    [METRICS_FAILURES] = {"sealpost_delivery_failures",
                          "Recipients put off or given up, by the reason.",
                          METRIC_COUNTER,
                          {"reason", "route"}},
    [METRICS_DELAY] = {"sealpost_delivery_delay_seconds",
                       "From acceptance to the end, once for each recipient.",
                       METRIC_HISTOGRAM,
                       {"result"}},
    [METRICS_ATTEMPT] = {"sealpost_attempt_seconds",
                         "How long attempts to hand over took, by how far they "
                         "came.",
                         METRIC_HISTOGRAM,
                         {"step"}},
    [METRICS_THROTTLES] = {"sealpost_throttled",
                           "Times that a host said it got too much.",
                           METRIC_COUNTER,
                           {"route"}},
    [METRICS_POLICY] = {"sealpost_tls_policy",
                        "Attempts by the transport policy in force and whether "
                        "the host met it.",
                        METRIC_COUNTER,
                        {"policy", "result"}},
    [METRICS_TLS_OUT] = {"sealpost_tls_sessions",
                         "Attempts that got as far as TLS or went without.",
                         METRIC_COUNTER,
                         {"version", "verdict"}},
    [METRICS_REFUSALS] = {"sealpost_policy_refusals",
                          "Times that a transport policy kept mail back.",
                          METRIC_COUNTER,
                          {NULL}},
    [METRICS_SHADOWS] = {"sealpost_policy_shadowed",
                         "Times that a policy which is only reported would "
                         "have kept mail back.",
                         METRIC_COUNTER,
                         {NULL}},
    [METRICS_CONNECTIONS_IN] = {"sealpost_smtp_connections_accepted",
                                "Connections of clients.",
                                METRIC_COUNTER,
                                {"listener"}},
    [METRICS_CONNECTIONS_OUT] = {"sealpost_smtp_connections_made",
                                 "Connections to hosts: new, or used again.",
                                 METRIC_COUNTER,
                                 {"kind"}},
    [METRICS_FETCHES] = {"sealpost_sts_fetch",
                         "MTA-STS policies fetched.",
                         METRIC_COUNTER,
                         {"result"}},
    [METRICS_REPORTS] = {"sealpost_tlsrpt_reports",
                         "TLS reports handed over, or not.",
                         METRIC_COUNTER,
                         {"result"}},
    [METRICS_LOGINS] = {"sealpost_logins",
                        "Attempts of clients to log in.",
                        METRIC_COUNTER,
                        {"result"}},
    [METRICS_RELOADS] = {"sealpost_config_reloads",
                         "Reloads of the configuration.",
                         METRIC_COUNTER,
                         {"result"}},
    [METRICS_TOKENS] = {"sealpost_oauth_refresh",
                        "Access tokens asked for.",
                        METRIC_COUNTER,
                        {"route", "result"}},
};

struct metric_set *
metrics_new(void)
{
    return metric_set_new(metrics_families, METRICS_FAMILIES);
}

const char *
metrics_route(const char *destination)
{
    static const char prefix[] = "route:";

    return strncmp(destination, prefix, sizeof(prefix) - 1) == 0
               ? destination + sizeof(prefix) - 1
               : "mx";
}

/* Codes of RFC 3463 say more than the step where they were said. */
static const char *
reason_of(const struct queue_result *r, const struct queue_attempt *a)
{
    static const struct {
        const char *code, *reason;
    } rows[] = {
        {".7.30", "policy"}, {".7.10", "policy"}, {".7.5", "policy"},
        {".7.", "blocked"},  {".1.", "mailbox"},  {".2.", "mailbox"},
        {".3.4", "content"}, {".6.", "content"},  {".4.1", "connect"},
        {".4.2", "timeout"}, {".4.3", "dns"},     {".4.4", "dns"},
    };
    const char *enhanced = r->reason ? strchr(r->reason, ' ') : NULL;

    if (a && strcmp(a->step, "TLS") == 0)
        return "tls";
    if (a && strcmp(a->step, "AUTH") == 0)
        return "auth";
    for (size_t i = 0; enhanced && i < sizeof(rows) / sizeof(*rows); i++)
        if (strncmp(enhanced + 2, rows[i].code, strlen(rows[i].code)) == 0)
            return rows[i].reason;
    return "other";
}

void
metrics_result(struct metric_set *s, const struct queue_result *r,
               const struct queue_attempt *a, const char *destination,
               int64_t delay_ms)
{
    static const char *const results[] = {
        [QUEUE_DELIVERED] = "sent",
        [QUEUE_FAILED] = "bounced",
        [QUEUE_EXPIRED] = "expired",
        [QUEUE_DEFERRED] = "deferred",
    };
    const char *route = metrics_route(destination);
    const char *result = results[r->outcome];
    char class[] = {r->reason ? r->reason[0] : '4', '\0'};

    metrics_count(s, METRICS_RESULTS, result, route, class);
    if (r->outcome != QUEUE_DELIVERED)
        metrics_count(s, METRICS_FAILURES, reason_of(r, a), route);
    if (r->outcome != QUEUE_DEFERRED)
        metric_observe(s, METRICS_DELAY, (const char *const[]){result},
                       delay_ms);
}

/* Before MAIL nothing is known of a host that could not be reached or did not
 * want to talk; what it failed to prove has a code of its own. */
static const char *
policy_result(const struct queue_attempt *a)
{
    static const char *const early[] = {"connect", "greeting", "EHLO", "policy",
                                        "HELO",    "route",    "body"};
    const char *enhanced = a->reply ? strchr(a->reply, ' ') : NULL;

    if (strcmp(a->step, "TLS") == 0 || strcmp(a->step, "STARTTLS") == 0)
        return "failed";
    for (size_t i = 0; i < sizeof(early) / sizeof(*early); i++)
        if (strcmp(a->step, early[i]) == 0)
            return enhanced && strncmp(enhanced + 2, ".7.", 3) == 0 ? "failed"
                                                                    : NULL;
    return "met";
}

void
metrics_attempt(struct metric_set *s, const struct queue_attempt *a)
{
    const char *result = policy_result(a);

    metric_observe(s, METRICS_ATTEMPT, (const char *const[]){a->step},
                   a->took_ms);
    if (a->policy && result)
        metrics_count(s, METRICS_POLICY, a->policy, result);
    if (a->host && result)
        metrics_count(s, METRICS_TLS_OUT,
                      a->tls_version ? a->tls_version : "none",
                      a->verdict ? a->verdict : "none");
}
