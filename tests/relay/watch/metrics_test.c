#include "relay/watch/metrics.h"

#include "relay/base/own.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void
has(struct metric_set *s, const char *want)
{
    struct buf out scoped(buf_free) = {0};
    struct metric_page page = {.out = &out};

    metric_page_set(&page, s);
    if (!strstr(buf_text(&out), want))
        fail_msg("\"%s\" is not in:\n%s", want, buf_text(&out));
}

/* One recipient's result; `reply` as it is kept, a peer's. */
static void
tell(struct metric_set *s, enum queue_outcome outcome, const char *reply,
     const struct queue_attempt *a, const char *destination, int64_t delay_ms)
{
    int code = (reply[0] - '0') * 100 + (reply[1] - '0') * 10 + reply[2] - '0';
    struct mail_status status;
    struct queue_result r = {.outcome = outcome, .reason = reply};

    mail_status_from_reply(&status, code, slice_of(reply + 4));
    status.is_reply = true;
    metrics_result(s, &(struct metrics_delivery){.result = &r,
                                                 .status = &status,
                                                 .attempt = a,
                                                 .destination = destination,
                                                 .site = "x.example",
                                                 .delay_ms = delay_ms});
}

static void
each_failure_has_a_reason_that_an_operator_can_act_on(void **state)
{
    static const struct {
        const char *reply, *step, *want;
    } rows[] = {
        {"451 4.7.5 no TLS", "TLS", "tls"},
        {"550 5.7.5 no STARTTLS", "EHLO", "policy"},
        {"421 4.7.28 too fast", "DATA", "ratelimit"},
        {"451 4.3.2 not now", "RCPT", "ratelimit"},
        {"550 5.7.30 no REQUIRETLS", "EHLO", "policy"},
        {"550 5.7.1 spam", "DATA", "blocklist"},
        {"454 4.7.0 the route is held", "AUTH", "auth"},
        {"550 5.1.1 nobody", "RCPT", "mailbox"},
        {"452 4.2.2 full", "RCPT", "mailbox"},
        {"552 5.3.4 large", "MAIL", "content"},
        {"550 5.6.7 utf8", "MAIL", "content"},
        {"451 4.4.1 refused", "connect", "connect"},
        {"451 4.4.2 late", "DATA", "timeout"},
        {"451 4.4.3 no DNS", "policy", "dns"},
        {"450 4.0.0 hm", "DATA", "other"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct metric_set *s scoped(metric_set_free) = metrics_new();
        char step[16], want[128];
        struct queue_attempt a = {.step = step, .reply = rows[i].reply};

        (void)snprintf(step, sizeof(step), "%s", rows[i].step);
        (void)snprintf(want, sizeof(want),
                       "failures_total{reason=\"%s\",route=\"p\"} 1\n",
                       rows[i].want);
        tell(s, QUEUE_DEFERRED, rows[i].reply, &a, "route:p", 0);
        has(s, want);
    }
}

static void
mail_that_waits_has_no_delay_yet(void **state)
{
    struct metric_set *s scoped(metric_set_free) = metrics_new();

    (void)state;
    tell(s, QUEUE_DEFERRED, "450 4.0.0 x", NULL, "example.com", 10);
    tell(s, QUEUE_DELIVERED, "250 2.0.0 ok", NULL, "example.com", 4000);
    has(s, "sealpost_delivery_delay_seconds_count{result=\"sent\",route=\"mx\"}"
           " 1\n");
    has(s, "sealpost_delivery_delay_seconds_sum{result=\"sent\",route=\"mx\"} "
           "4\n");
    has(s, "deliveries_total{result=\"deferred\",route=\"mx\",class=\"4\","
           "dest=\"x.example\"} 1");
}

static void
a_domain_of_a_recipient_is_no_label(void **state)
{
    struct metric_set *s scoped(metric_set_free) = metrics_new();
    struct buf out scoped(buf_free) = {0};
    struct metric_page page = {.out = &out};

    (void)state;
    tell(s, QUEUE_FAILED, "550 5.1.1 x", NULL, "victim.example", 10);
    metric_page_set(&page, s);
    assert_null(strstr(buf_text(&out), "victim"));
}

static void
a_policy_is_met_or_failed_only_where_that_was_seen(void **state)
{
    static const struct {
        const char *step, *reply, *want;
    } rows[] = {
        {"DATA", "250 2.0.0 ok",
         "{policy=\"dane\",mode=\"enforce\",result=\"met\"} 1"},
        {"TLS", "451 4.7.5 no",
         "{policy=\"dane\",mode=\"enforce\",result=\"failed\"} 1"},
        {"EHLO", "451 4.7.5 no",
         "{policy=\"dane\",mode=\"enforce\",result=\"failed\"} 1"},
        {"policy", "451 4.7.5 no",
         "{policy=\"dane\",mode=\"enforce\",result=\"failed\"} 1"},
        {"policy", "451 4.4.3 no", NULL},
        {"connect", "451 4.4.1 no", NULL},
        {"greeting", "554 5.3.2 no", NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct metric_set *s scoped(metric_set_free) = metrics_new();
        struct queue_attempt a = {.step = rows[i].step,
                                  .reply = rows[i].reply,
                                  .host = "mx.example",
                                  .policy = "dane"};

        metrics_attempt(s, &a);
        if (rows[i].want)
            has(s, rows[i].want);
        else
            assert_int_equal(metric_total(s, METRICS_POLICY, NULL), 0);
    }
}

static void
a_policy_has_its_mode(void **state)
{
    static const struct {
        const char *policy, *want;
    } rows[] = {
        {"mta-sts testing", "policy=\"mta-sts\",mode=\"testing\""},
        {"mta-sts enforce", "policy=\"mta-sts\",mode=\"enforce\""},
        {"dane insecure-mx", "policy=\"dane\",mode=\"insecure-mx\""},
        {"local", "policy=\"local\",mode=\"enforce\""},
        {"local without-requiretls", "policy=\"local\",mode=\"enforce\""},
        {"opportunistic", "policy=\"opportunistic\",mode=\"none\""},
        {"opportunistic without-requiretls",
         "policy=\"opportunistic\",mode=\"none\""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct metric_set *s scoped(metric_set_free) = metrics_new();
        struct queue_attempt a = {.step = "DATA",
                                  .reply = "250 2.0.0 ok",
                                  .host = "mx.example",
                                  .policy = rows[i].policy};

        metrics_attempt(s, &a);
        has(s, rows[i].want);
    }
}

/* RFC 8689: what became of the demand. */
static void
requiretls_is_honored_unsupported_or_bounced(void **state)
{
    static const struct {
        enum queue_outcome outcome;
        const char *policy, *want;
    } rows[] = {
        {QUEUE_DELIVERED, "mta-sts enforce", "{result=\"honored\"} 1"},
        {QUEUE_DELIVERED, "local without-requiretls",
         "{result=\"unsupported\"} 1"},
        {QUEUE_FAILED, "requiretls", "{result=\"bounced\"} 1"},
        {QUEUE_EXPIRED, "requiretls", "{result=\"bounced\"} 1"},
        {QUEUE_DEFERRED, "requiretls", NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct metric_set *s scoped(metric_set_free) = metrics_new();
        struct queue_attempt a = {.step = "EHLO", .policy = rows[i].policy};
        struct queue_result r = {.outcome = rows[i].outcome};
        struct mail_status status = {.code = 450};
        struct metrics_delivery d = {.result = &r,
                                     .status = &status,
                                     .attempt = &a,
                                     .destination = "a.example",
                                     .site = "none",
                                     .demands_requiretls = true};

        metrics_result(s, &d);
        if (rows[i].want)
            has(s, rows[i].want);
        else
            assert_int_equal(metric_total(s, METRICS_REQUIRETLS, NULL), 0);
        d.demands_requiretls = false;
        metrics_result(s, &d);
        assert_int_equal(metric_total(s, METRICS_REQUIRETLS, NULL),
                         rows[i].want ? 1 : 0);
    }
}

static void
a_refusal_of_a_client_has_a_reason(void **state)
{
    static const struct {
        int code;
        const char *enhanced, *want;
    } rows[] = {
        {530, "5.7.0", "auth"},    {553, "5.7.1", "sender"},
        {554, "5.7.1", "access"},  {550, "5.7.1", "access"},
        {452, "4.3.1", "disk"},    {452, "4.7.1", "rate"},
        {450, "4.7.1", "rate"},    {421, "4.7.0", "connections"},
        {451, "4.3.2", "closed"},  {552, "5.3.4", "size"},
        {554, "5.4.6", "loop"},    {550, "5.6.0", "content"},
        {451, "4.3.0", "trouble"}, {501, "5.5.4", "other"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct metric_set *s scoped(metric_set_free) = metrics_new();
        struct mail_status status;
        char want[64];

        mail_status_set(&status, rows[i].code, rows[i].enhanced, "no");
        (void)snprintf(want, sizeof(want), "{reason=\"%s\",code=\"%d\"} 1\n",
                       rows[i].want, rows[i].code);
        metrics_refuse(s, &status);
        has(s, want);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_failure_has_a_reason_that_an_operator_can_act_on),
        cmocka_unit_test(mail_that_waits_has_no_delay_yet),
        cmocka_unit_test(a_domain_of_a_recipient_is_no_label),
        cmocka_unit_test(a_policy_is_met_or_failed_only_where_that_was_seen),
        cmocka_unit_test(a_policy_has_its_mode),
        cmocka_unit_test(requiretls_is_honored_unsupported_or_bounced),
        cmocka_unit_test(a_refusal_of_a_client_has_a_reason),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
