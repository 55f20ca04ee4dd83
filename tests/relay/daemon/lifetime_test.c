#include "relay/daemon/lifetime.h"

#include "relay/daemon/tls_result.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { HOUR = 60 * 60 * 1000 };

static const int64_t born = 1795000000000;
static const uint64_t exactly = HOUR / 10; /* a step as long as it is told */

static const struct queue_schedule retry = {
    .step_ms = {HOUR / 2, HOUR},
    .steps = 2,
    .expire_ms = INT64_C(120) * HOUR,
};

static char report[] = TLS_RESULT_ORIGIN "example.com";
static char client[] = "203.0.113.5 (mail.example.com)";

static bool
is_over(char *origin, bool tls_required_no, uint32_t attempts, int64_t age_ms)
{
    struct queue_message m = {.arrived_ms = born,
                              .origin = origin,
                              .tls_required_no = tls_required_no};

    return lifetime_is_over(&retry, &m, born, attempts, born + age_ms, exactly);
}

/* RFC 8460 section 5.5 */
static void
a_report_is_tried_again_for_a_day_and_no_longer(void **state)
{
    (void)state;
    assert_false(is_over(report, true, 1, 0));
    assert_false(is_over(report, true, 20, 22 * HOUR));
    assert_false(is_over(report, true, 20, 23 * HOUR));
    assert_true(is_over(report, true, 20, 23 * HOUR + 1));
    assert_true(is_over(report, true, 20, INT64_C(200) * HOUR));
}

static void
a_report_needs_no_number_of_attempts_to_be_given_up(void **state)
{
    (void)state;
    assert_true(is_over(report, true, 1, 24 * HOUR));
    assert_false(is_over(client, true, 1, INT64_C(200) * HOUR));
}

static void
other_mail_lasts_as_long_as_it_is_configured(void **state)
{
    char *const origins[] = {client, NULL, report};

    (void)state;
    /* A client may call itself what it likes, and ask for no policy; the text
     * alone makes no report. */
    for (size_t i = 0; i < sizeof(origins) / sizeof(*origins); i++) {
        bool tls_required_no = origins[i] != report;

        assert_false(is_over(origins[i], tls_required_no, 20, 24 * HOUR));
        assert_false(
            is_over(origins[i], tls_required_no, 20, INT64_C(120) * HOUR - 1));
        assert_true(
            is_over(origins[i], tls_required_no, 20, INT64_C(120) * HOUR));
    }
}

static void
a_report_is_not_kept_longer_than_other_mail(void **state)
{
    struct queue_schedule brief = retry;
    const struct queue_message m = {
        .arrived_ms = born, .origin = report, .tls_required_no = true};

    (void)state;
    brief.expire_ms = 2 * HOUR;
    assert_true(
        lifetime_is_over(&brief, &m, born, 5, born + 2 * HOUR, exactly));
    assert_false(lifetime_is_over(&brief, &m, born, 5, born + HOUR, exactly));
}

static void
a_clock_that_was_set_back_gives_nothing_up(void **state)
{
    (void)state;
    assert_false(is_over(report, true, 20, INT64_C(-1000) * HOUR));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_report_is_tried_again_for_a_day_and_no_longer),
        cmocka_unit_test(a_report_needs_no_number_of_attempts_to_be_given_up),
        cmocka_unit_test(other_mail_lasts_as_long_as_it_is_configured),
        cmocka_unit_test(a_report_is_not_kept_longer_than_other_mail),
        cmocka_unit_test(a_clock_that_was_set_back_gives_nothing_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
