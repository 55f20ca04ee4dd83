#include "relay/watch/metrics.h"

#include "relay/base/own.h"

#include <stdio.h>
#include <string.h>

static const struct metric_family families[METRICS_FAMILIES] = {
    [METRICS_ACCEPTED] = {"sealpost_messages_accepted",
                          "Messages taken over, committed and synced.",
                          METRIC_COUNTER,
                          {"listener"}},
    [METRICS_REFUSED] =
        {"sealpost_messages_rejected",
         "Commands, messages and connections refused to clients.",
         METRIC_COUNTER,
         {"reason", "code"}},
    [METRICS_RESULTS] = {"sealpost_deliveries",
                         "Recipients by what came of an attempt.",
                         METRIC_COUNTER,
                         {"result", "route", "class", "dest"}},
    [METRICS_FAILURES] = {"sealpost_delivery_failures",
                          "Recipients put off or given up, by the reason.",
                          METRIC_COUNTER,
                          {"reason", "route"}},
    [METRICS_DELAY] = {"sealpost_delivery_delay_seconds",
                       "From acceptance to the end, once for each recipient.",
                       METRIC_HISTOGRAM,
                       {"result", "route"}},
    [METRICS_ATTEMPT] =
        {"sealpost_attempt_seconds",
         "How long attempts to hand over took, by how far they came.",
         METRIC_HISTOGRAM,
         {"step"}},
    [METRICS_PHASE] = {"sealpost_attempt_phase_seconds",
                       "How long the parts of attempts took that went well.",
                       METRIC_HISTOGRAM,
                       {"phase"}},
    [METRICS_THROTTLES] = {"sealpost_throttled",
                           "Times that a host said it got too much.",
                           METRIC_COUNTER,
                           {"route"}},
    [METRICS_THROTTLED] = {"sealpost_throttled_seconds",
                           "Time for which nothing was sent because of that.",
                           METRIC_SECONDS,
                           {"route"}},
    [METRICS_POLICY] = {"sealpost_tls_policy",
                        "Attempts by the transport policy in force and whether "
                        "the host met it.",
                        METRIC_COUNTER,
                        {"policy", "mode", "result"}},
    [METRICS_TLS] = {"sealpost_tls_sessions",
                     "Connections with TLS, and those to hosts without.",
                     METRIC_COUNTER,
                     {"dir", "version", "verified"}},
    [METRICS_REQUIRETLS] =
        {"sealpost_requiretls",
         "Recipients of messages with REQUIRETLS that came to their end.",
         METRIC_COUNTER,
         {"result"}},
    [METRICS_FALLBACKS] =
        {"sealpost_plaintext_fallback",
         "Hosts with which TLS failed and no policy asked for it.",
         METRIC_COUNTER,
         {NULL}},
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
    [METRICS_VALIDATIONS] =
        {"sealpost_dnssec_validation",
         "DNS answers about where mail goes, by whether they are authentic.",
         METRIC_COUNTER,
         {"result"}},
    [METRICS_REPORTS] = {"sealpost_tlsrpt_reports",
                         "TLS reports handed over, or not.",
                         METRIC_COUNTER,
                         {"result"}},
    [METRICS_REPORTED] = {"sealpost_tlsrpt_sessions",
                          "Sessions counted for TLS reports.",
                          METRIC_COUNTER,
                          {"result"}},
    [METRICS_LOGINS] = {"sealpost_logins",
                        "Attempts of clients to log in.",
                        METRIC_COUNTER,
                        {"result", "listener"}},
    [METRICS_AUTH_FAILURES] = {"sealpost_auth_failures",
                               "Logins that were refused, and requests with a "
                               "wrong token.",
                               METRIC_COUNTER,
                               {"listener"}},
    [METRICS_RELOADS] = {"sealpost_config_reloads",
                         "Reloads of the configuration.",
                         METRIC_COUNTER,
                         {"result"}},
    [METRICS_WEBHOOKS] = {"sealpost_webhook_deliveries",
                          "Events that webhooks took (ok) or that were given "
                          "up (dropped), and attempts that failed.",
                          METRIC_COUNTER,
                          {"webhook", "result"}},
    [METRICS_TOKENS] = {"sealpost_oauth_refresh",
                        "Access tokens asked for.",
                        METRIC_COUNTER,
                        {"route", "result"}},
    [METRICS_NOTICES_LIMITED] =
        {"sealpost_notices_limited",
         "Notices to senders that wait, as there are too many of them.",
         METRIC_COUNTER,
         {NULL}},
    [METRICS_COMMIT] = {"sealpost_storage_commit_seconds",
                        "How long commits of the queue took, with their sync.",
                        METRIC_HISTOGRAM,
                        {NULL}},
    [METRICS_STORE_ERRORS] =
        {"sealpost_storage_errors",
         "Transactions and checkpoints of the queue that failed.",
         METRIC_COUNTER,
         {"kind"}},
};

struct metric_set *
metrics_new(void)
{
    return metric_set_new(families, METRICS_FAMILIES);
}

const char *
metrics_route(const char *destination)
{
    static const char prefix[] = "route:";

    return strncmp(destination, prefix, sizeof(prefix) - 1) == 0
               ? destination + sizeof(prefix) - 1
               : "mx";
}

struct row {
    const char *start, *reason;
};

static const char *
find_reason(const char *text, const struct row *rows, size_t count)
{
    for (size_t i = 0; text && i < count; i++)
        if (strncmp(text, rows[i].start, strlen(rows[i].start)) == 0)
            return rows[i].reason;
    return "other";
}

/* Codes of RFC 3463 say more than the step where they were said. */
static const char *
reason_of(const struct metrics_delivery *d)
{
    static const struct row rows[] = {
        {".7.30", "policy"},  {".7.10", "policy"}, {".7.5", "policy"},
        {".7.", "blocklist"}, {".1.", "mailbox"},  {".2.", "mailbox"},
        {".3.4", "content"},  {".6.", "content"},  {".4.1", "connect"},
        {".4.2", "timeout"},  {".4.3", "dns"},     {".4.4", "dns"},
    };
    const char *reason = d->result->reason;
    const char *enhanced = reason ? strchr(reason, ' ') : NULL;

    if (d->attempt && strcmp(d->attempt->step, "TLS") == 0)
        return "tls";
    if (d->attempt && strcmp(d->attempt->step, "AUTH") == 0)
        return "auth";
    if (mail_status_is_throttling(d->status))
        return "ratelimit";
    return find_reason(enhanced ? enhanced + 2 : NULL, rows,
                       sizeof(rows) / sizeof(*rows));
}

/* RFC 8689: the demand went along, or to a host that can't keep it where the
 * configuration allows that, or the message came back. */
static void
count_requiretls(struct metric_set *s, const struct metrics_delivery *d)
{
    const struct queue_attempt *a = d->attempt;
    bool is_lost =
        a && a->policy && strstr(a->policy, "without-requiretls") != NULL;

    if (!d->demands_requiretls || d->result->outcome == QUEUE_DEFERRED)
        return;
    if (d->result->outcome != QUEUE_DELIVERED)
        metrics_count(s, METRICS_REQUIRETLS, "bounced");
    else
        metrics_count(s, METRICS_REQUIRETLS,
                      is_lost ? "unsupported" : "honored");
}

void
metrics_result(struct metric_set *s, const struct metrics_delivery *d)
{
    static const char *const results[] = {
        [QUEUE_DELIVERED] = "sent",
        [QUEUE_FAILED] = "bounced",
        [QUEUE_EXPIRED] = "expired",
        [QUEUE_DEFERRED] = "deferred",
    };
    const struct queue_result *r = d->result;
    const char *route = metrics_route(d->destination);
    const char *result = results[r->outcome];
    char class[] = {r->reason ? r->reason[0] : '4', '\0'};

    metrics_count(s, METRICS_RESULTS, result, route, class, d->site);
    count_requiretls(s, d);
    if (r->outcome != QUEUE_DELIVERED)
        metrics_count(s, METRICS_FAILURES, reason_of(d), route);
    if (r->outcome != QUEUE_DEFERRED)
        metric_observe(s, METRICS_DELAY, (const char *const[]){result, route},
                       d->delay_ms);
}

/* --- attempts --- */

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

enum { WORD_MAX = 32 };

/* A word of a text, behind so many others; or "". */
static const char *
word_of(const char *text, size_t behind, char out[WORD_MAX])
{
    size_t len;

    for (; behind > 0; behind--) {
        text += strcspn(text, " ");
        text += strspn(text, " ");
    }
    len = strcspn(text, " ");
    if (len >= WORD_MAX)
        len = WORD_MAX - 1;
    memcpy(out, text, len);
    out[len] = '\0';
    return out;
}

/* "mta-sts testing" has its mode with it. */
static void
count_policy(struct metric_set *s, const char *policy, const char *result)
{
    char name[WORD_MAX], mode[WORD_MAX];
    bool is_none;

    (void)word_of(policy, 0, name);
    (void)word_of(policy, 1, mode);
    is_none = strcmp(name, "opportunistic") == 0;
    if (mode[0] == '\0' || strcmp(mode, "without-requiretls") == 0)
        metrics_count(s, METRICS_POLICY, name, is_none ? "none" : "enforce",
                      result);
    else
        metrics_count(s, METRICS_POLICY, name, mode, result);
}

void
metrics_attempt(struct metric_set *s, const struct queue_attempt *a)
{
    const char *result = policy_result(a);

    metric_observe(s, METRICS_ATTEMPT, (const char *const[]){a->step},
                   a->took_ms);
    if (a->policy && result)
        count_policy(s, a->policy, result);
}

void
metrics_phase(struct metric_set *s, enum metrics_phase phase, int64_t us)
{
    static const char *const names[] = {
        [METRICS_NO_PHASE] = "none",   [METRICS_DNS] = "dns",
        [METRICS_CONNECT] = "connect", [METRICS_HANDSHAKE] = "tls",
        [METRICS_MAIL] = "mail",       [METRICS_DATA] = "data",
    };

    metric_observe_us(s, METRICS_PHASE, (const char *const[]){names[phase]},
                      us);
}

/* --- sessions --- */

void
metrics_tls(struct metric_set *s, bool is_in, const char *version,
            const char *verdict)
{
    metrics_count(s, METRICS_TLS, is_in ? "in" : "out",
                  version ? version : "none", verdict ? verdict : "none");
}

void
metrics_refuse(struct metric_set *s, const struct mail_status *status)
{
    static const struct row rows[] = {
        {"530", "auth"},         {"535", "auth"},
        {"553 5.7.1", "sender"}, {"552", "size"},
        {"452 4.3.1", "disk"},   {"452 4.7.1", "rate"},
        {"450 4.7.1", "rate"},   {"421 4.7.0", "connections"},
        {"451 4.3.2", "closed"}, {"451 4.3.0", "trouble"},
        {"554 5.4.6", "loop"},   {"550 5.6.", "content"},
        {"550 5.7.1", "access"}, {"554 5.7.1", "access"},
    };
    char text[32], enhanced[16], code[8];

    (void)snprintf(code, sizeof(code), "%d", status->code);
    (void)snprintf(text, sizeof(text), "%s %s", code,
                   mail_status_enhanced(status, enhanced));
    metrics_count(s, METRICS_REFUSED,
                  find_reason(text, rows, sizeof(rows) / sizeof(*rows)), code);
}
