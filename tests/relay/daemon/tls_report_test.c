#include "relay/daemon/tls_report.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const int64_t HOUR_MS = 3600 * INT64_C(1000);
static const int64_t DAY_MS = 86400 * INT64_C(1000);
static const int64_t MIDNIGHT_MS = INT64_C(1709164800000); /* 2024-02-29 */

static const uint32_t randoms[] = {0, 1, 299999, 300000, 14399999, UINT32_MAX};
enum { RANDOMS = sizeof(randoms) / sizeof(randoms[0]) };

/* RFC 8460 section 4.1 */
static void
a_day_is_reported_in_the_four_hours_behind_it(void **state)
{
    (void)state;
    for (size_t i = 0; i < RANDOMS; i++)
        for (int64_t hour = 0; hour < 24; hour++) {
            int64_t due = tls_report_due_ms(MIDNIGHT_MS + hour * HOUR_MS,
                                            MIDNIGHT_MS, randoms[i]);

            assert_true(due >= MIDNIGHT_MS + DAY_MS);
            assert_true(due < MIDNIGHT_MS + DAY_MS + 4 * HOUR_MS);
        }
}

static void
reports_are_spread(void **state)
{
    int64_t a = tls_report_due_ms(MIDNIGHT_MS, MIDNIGHT_MS, 0);
    int64_t b = tls_report_due_ms(MIDNIGHT_MS, MIDNIGHT_MS, 14399999);

    (void)state;
    assert_true(b - a == 4 * HOUR_MS - 1);
}

static void
a_start_late_in_the_day_reports_soon(void **state)
{
    int64_t now = MIDNIGHT_MS + 13 * HOUR_MS;

    (void)state;
    for (size_t i = 0; i < RANDOMS; i++) {
        int64_t due = tls_report_due_ms(now, 0, randoms[i]);

        assert_true(due >= now && due < now + TLS_REPORT_START_MS);
    }
}

static void
a_start_at_midnight_waits_its_turn(void **state)
{
    (void)state;
    assert_true(tls_report_due_ms(MIDNIGHT_MS, 0, 14399999) ==
                MIDNIGHT_MS + 4 * HOUR_MS - 1);
}

/* A round of retries may end on the next day. */
static void
no_day_is_passed_over(void **state)
{
    int64_t now = MIDNIGHT_MS + DAY_MS + 5 * HOUR_MS;

    (void)state;
    for (size_t i = 0; i < RANDOMS; i++) {
        int64_t due = tls_report_due_ms(now, MIDNIGHT_MS, randoms[i]);

        assert_true(due >= now && due < now + TLS_REPORT_START_MS);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_day_is_reported_in_the_four_hours_behind_it),
        cmocka_unit_test(reports_are_spread),
        cmocka_unit_test(a_start_late_in_the_day_reports_soon),
        cmocka_unit_test(a_start_at_midnight_waits_its_turn),
        cmocka_unit_test(no_day_is_passed_over),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
