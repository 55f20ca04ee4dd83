#include "relay/daemon/metrics.h"

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

static void
each_failure_has_a_reason_that_an_operator_can_act_on(void **state)
{
    static const struct {
        const char *reply, *step, *want;
    } rows[] = {
        {"451 4.7.5 no TLS", "TLS", "tls"},
        {"451 4.7.5 no STARTTLS", "EHLO", "policy"},
        {"550 5.7.30 no REQUIRETLS", "EHLO", "policy"},
        {"550 5.7.1 spam", "DATA", "blocked"},
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
        struct queue_result r = {.outcome = QUEUE_DEFERRED,
                                 .reason = rows[i].reply};

        (void)snprintf(step, sizeof(step), "%s", rows[i].step);
        (void)snprintf(want, sizeof(want),
                       "failures_total{reason=\"%s\",route=\"p\"} 1\n",
                       rows[i].want);
        metrics_result(s, &r, &a, "route:p", 0);
        has(s, want);
    }
}

static void
mail_that_waits_has_no_delay_yet(void **state)
{
    struct metric_set *s scoped(metric_set_free) = metrics_new();
    struct queue_result r = {.outcome = QUEUE_DEFERRED, .reason = "450 4.0.0"};

    (void)state;
    metrics_result(s, &r, NULL, "example.com", 10);
    r.outcome = QUEUE_DELIVERED;
    r.reason = "250 2.0.0 ok";
    metrics_result(s, &r, NULL, "example.com", 4000);
    has(s, "sealpost_delivery_delay_seconds_count{result=\"sent\"} 1\n");
    has(s, "sealpost_delivery_delay_seconds_sum{result=\"sent\"} 4\n");
    has(s, "deliveries_total{result=\"deferred\",route=\"mx\",class=\"4\"} 1");
}

static void
a_domain_of_a_recipient_is_no_label(void **state)
{
    struct metric_set *s scoped(metric_set_free) = metrics_new();
    struct buf out scoped(buf_free) = {0};
    struct metric_page page = {.out = &out};
    struct queue_result r = {.outcome = QUEUE_FAILED, .reason = "550 5.1.1"};

    (void)state;
    metrics_result(s, &r, NULL, "victim.example", 10);
    metric_page_set(&page, s);
    assert_null(strstr(buf_text(&out), "victim"));
}

static void
a_policy_is_met_or_failed_only_where_that_was_seen(void **state)
{
    static const struct {
        const char *step, *reply, *want;
    } rows[] = {
        {"DATA", "250 2.0.0 ok", "{policy=\"dane\",result=\"met\"} 1"},
        {"TLS", "451 4.7.5 no", "{policy=\"dane\",result=\"failed\"} 1"},
        {"EHLO", "451 4.7.5 no", "{policy=\"dane\",result=\"failed\"} 1"},
        {"policy", "451 4.7.5 no", "{policy=\"dane\",result=\"failed\"} 1"},
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

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_failure_has_a_reason_that_an_operator_can_act_on),
        cmocka_unit_test(mail_that_waits_has_no_delay_yet),
        cmocka_unit_test(a_domain_of_a_recipient_is_no_label),
        cmocka_unit_test(a_policy_is_met_or_failed_only_where_that_was_seen),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
