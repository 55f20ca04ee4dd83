#include "policy/tlsrpt.h"

#include "relay/base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>
#include <jansson.h>

static const char published[] = "version: STSv1\r\n"
                                "mode: enforce\r\n"
                                "mx: mx1.example.com\r\n"
                                "mx: *.example.net\r\n"
                                "max_age: 86400\r\n";

static struct policy_tlsrpt_session
session(enum policy_tlsrpt_result result, const char *ip)
{
    return (struct policy_tlsrpt_session){
        .type = POLICY_TLSRPT_STS,
        .domain = mem_text("example.com"),
        .policy_text = mem_text(published),
        .result = result,
        .mx_host = mem_text("mx1.example.com"),
        .receiving_ip = mem_text(ip),
    };
}

static void
add(struct buf *count, struct policy_tlsrpt_session s)
{
    struct buf next = {0};
    struct err err;

    assert_true(policy_tlsrpt_add(buf_slice(count), &s, &next, &err));
    policy_tlsrpt_session_done(&s);
    buf_free(count);
    *count = next;
}

static void
expect_sums(struct buf *count, uint64_t policies, uint64_t succeeded,
            uint64_t failed)
{
    struct policy_tlsrpt_sums sums;
    struct err err;

    assert_true(policy_tlsrpt_sum(buf_slice(count), &sums, &err));
    assert_int_equal(sums.policies, policies);
    assert_int_equal(sums.succeeded, succeeded);
    assert_int_equal(sums.failed, failed);
}

static void
a_success_has_the_form_of_a_report(void **state)
{
    scoped(buf_free) struct buf count = {0};

    (void)state;
    add(&count, session(POLICY_TLSRPT_SUCCESS, "192.0.2.1"));
    assert_string_equal(
        buf_text(&count),
        "[{\"policy\":{\"policy-type\":\"sts\",\"policy-string\":["
        "\"version: STSv1\",\"mode: enforce\",\"mx: mx1.example.com\","
        "\"mx: *.example.net\",\"max_age: 86400\"],"
        "\"policy-domain\":\"example.com\","
        "\"mx-host\":[\"mx1.example.com\",\"*.example.net\"]},"
        "\"summary\":{\"total-successful-session-count\":1,"
        "\"total-failure-session-count\":0}}]");
}

static void
a_failure_has_the_form_of_a_report(void **state)
{
    scoped(buf_free) struct buf count = {0};
    struct policy_tlsrpt_session s = {
        .type = POLICY_TLSRPT_NO_POLICY,
        .domain = mem_text("example.com"),
        .result = POLICY_TLSRPT_STARTTLS_NOT_SUPPORTED,
        .sending_ip = mem_text("2001:db8::1"),
        .mx_host = mem_text("mx1.example.com"),
        .helo = mem_text("mail"),
        .receiving_ip = mem_text("192.0.2.1"),
        .additional = mem_text("x"),
        .reason_code = mem_text("y"),
    };

    (void)state;
    add(&count, s);
    assert_string_equal(
        buf_text(&count),
        "[{\"policy\":{\"policy-type\":\"no-policy-found\","
        "\"policy-domain\":\"example.com\"},"
        "\"summary\":{\"total-successful-session-count\":0,"
        "\"total-failure-session-count\":1},"
        "\"failure-details\":[{\"result-type\":\"starttls-not-supported\","
        "\"sending-mta-ip\":\"2001:db8::1\","
        "\"receiving-mx-hostname\":\"mx1.example.com\","
        "\"receiving-mx-helo\":\"mail\",\"receiving-ip\":\"192.0.2.1\","
        "\"additional-information\":\"x\",\"failure-reason-code\":\"y\","
        "\"failed-session-count\":1}]}]");
}

static void
equal_failures_are_counted_together(void **state)
{
    scoped(buf_free) struct buf count = {0};

    (void)state;
    add(&count, session(POLICY_TLSRPT_SUCCESS, "192.0.2.1"));
    for (int i = 0; i < 3; i++)
        add(&count, session(POLICY_TLSRPT_CERTIFICATE_EXPIRED, "192.0.2.1"));
    add(&count, session(POLICY_TLSRPT_CERTIFICATE_EXPIRED, "192.0.2.2"));
    add(&count, session(POLICY_TLSRPT_VALIDATION_FAILURE, "192.0.2.1"));
    expect_sums(&count, 1, 1, 5);
    assert_non_null(strstr(buf_text(&count), "\"failed-session-count\":3"));
    assert_null(strstr(buf_text(&count), "\"failed-session-count\":2"));
}

static void
each_policy_is_counted_by_itself(void **state)
{
    scoped(buf_free) struct buf count = {0};
    struct policy_tlsrpt_session other =
        session(POLICY_TLSRPT_SUCCESS, "192.0.2.1");
    struct policy_tlsrpt_session tlsa =
        session(POLICY_TLSRPT_SUCCESS, "192.0.2.1");

    (void)state;
    other.policy_text[strlen(published) - 3] = '1';
    tlsa.type = POLICY_TLSRPT_TLSA;
    add(&count, session(POLICY_TLSRPT_SUCCESS, "192.0.2.1"));
    add(&count, other);
    add(&count, tlsa);
    expect_sums(&count, 3, 3, 0);
}

/* However long an attacker goes on. */
static void
a_count_does_not_grow_without_bound(void **state)
{
    scoped(buf_free) struct buf count = {0};
    char text[40];
    size_t len;

    (void)state;
    for (int i = 0; i < POLICY_TLSRPT_DETAILS_MAX + 20; i++) {
        (void)snprintf(text, sizeof(text), "192.0.2.%d", i);
        add(&count, session(POLICY_TLSRPT_VALIDATION_FAILURE, text));
    }
    expect_sums(&count, 1, 0, POLICY_TLSRPT_DETAILS_MAX + 20);
    assert_null(strstr(buf_text(&count), "192.0.2.119"));
    for (int i = 0; i < POLICY_TLSRPT_POLICIES_MAX + 5; i++) {
        struct policy_tlsrpt_session s =
            session(POLICY_TLSRPT_SUCCESS, "192.0.2.1");

        own_free(&s.policy_text);
        s.policy_text = mem_printf("%d", i);
        add(&count, s);
    }
    expect_sums(&count, POLICY_TLSRPT_POLICIES_MAX,
                POLICY_TLSRPT_POLICIES_MAX - 1, POLICY_TLSRPT_DETAILS_MAX + 20);
    len = count.len;
    add(&count, session(POLICY_TLSRPT_TLSA_INVALID, "192.0.2.250"));
    assert_in_range(count.len, len, len + 1);
}

static void
texts_of_strangers_are_cut_and_cleaned(void **state)
{
    scoped(buf_free) struct buf count = {0};
    struct policy_tlsrpt_session s =
        session(POLICY_TLSRPT_VALIDATION_FAILURE, "\xff\x01\"");
    json_t *json;

    (void)state;
    own_free(&s.policy_text);
    s.policy_text = mem_array(char, 5000);
    memset(s.policy_text, 'x', 2000);
    memset(s.policy_text + 2000, '\n', 2000);
    add(&count, s);
    json = json_loads(buf_text(&count), 0, NULL);
    assert_non_null(json);
    json_decref(json);
    assert_in_range(count.len, 200, 700);
    assert_non_null(strstr(buf_text(&count), "\"receiving-ip\":\"\?\?\\\"\""));
}

static void
what_is_no_count_is_refused(void **state)
{
    static const char *const texts[] = {"{", "{}", "1", "[", "[1", "null"};

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct policy_tlsrpt_session s = session(POLICY_TLSRPT_SUCCESS, "x");
        scoped(buf_free) struct buf out = {0};
        struct policy_tlsrpt_sums sums;
        struct err err;

        assert_false(policy_tlsrpt_add(slice_of(texts[i]), &s, &out, &err));
        assert_int_equal(err.kind, ERR_INPUT);
        assert_int_equal(out.len, 0);
        assert_false(policy_tlsrpt_sum(slice_of(texts[i]), &sums, &err));
        policy_tlsrpt_session_done(&s);
    }
}

static void
strange_members_of_a_count_do_no_harm(void **state)
{
    static const char *const texts[] = {
        "[1]", "[[]]", "[{}]", "[{\"policy\":1,\"summary\":2}]",
        "[{\"summary\":{\"total-successful-session-count\":\"x\"}}]"};

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        scoped(buf_free) struct buf count = {0};

        buf_add_text(&count, texts[i]);
        add(&count, session(POLICY_TLSRPT_TLSA_INVALID, "192.0.2.1"));
        expect_sums(&count, 2, 0, 1);
    }
}

/* RFC 8460 section 4.3, letter by letter */
static void
names_are_those_of_the_standard(void **state)
{
    static const char *const names[] = {
        "success",
        "starttls-not-supported",
        "certificate-host-mismatch",
        "certificate-expired",
        "certificate-not-trusted",
        "validation-failure",
        "tlsa-invalid",
        "dnssec-invalid",
        "dane-required",
        "sts-policy-fetch-error",
        "sts-policy-invalid",
        "sts-webpki-invalid",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        assert_string_equal(
            policy_tlsrpt_result_name((enum policy_tlsrpt_result)i), names[i]);
}

static void
days_are_those_of_utc(void **state)
{
    static const char *const bad[] = {
        "",           "2026-11-2",  "2026-02-31", "2026-13-01",
        "2026-00-01", "2026-01-00", "1969-12-31", "2026-11-231",
        "2026 11 23", "20261123xx", "-026-11-23", "2026-1-023"};
    char day[POLICY_TLSRPT_DAY_SIZE];
    int64_t ms;

    (void)state;
    assert_string_equal(policy_tlsrpt_day(0, day), "1970-01-01");
    assert_string_equal(policy_tlsrpt_day(86399999, day), "1970-01-01");
    assert_string_equal(policy_tlsrpt_day(86400000, day), "1970-01-02");
    assert_true(policy_tlsrpt_day_parse(slice_of("2024-02-29"), &ms));
    assert_int_equal(ms, INT64_C(1709164800000));
    assert_string_equal(policy_tlsrpt_day(ms, day), "2024-02-29");
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (policy_tlsrpt_day_parse(slice_of(bad[i]), &ms))
            fail_msg("taken: %s", bad[i]);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_success_has_the_form_of_a_report),
        cmocka_unit_test(a_failure_has_the_form_of_a_report),
        cmocka_unit_test(equal_failures_are_counted_together),
        cmocka_unit_test(each_policy_is_counted_by_itself),
        cmocka_unit_test(a_count_does_not_grow_without_bound),
        cmocka_unit_test(texts_of_strangers_are_cut_and_cleaned),
        cmocka_unit_test(what_is_no_count_is_refused),
        cmocka_unit_test(strange_members_of_a_count_do_no_harm),
        cmocka_unit_test(names_are_those_of_the_standard),
        cmocka_unit_test(days_are_those_of_utc),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
