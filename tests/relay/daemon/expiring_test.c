#include "relay/daemon/expiring.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const int64_t day = 24 * 3600 * INT64_C(1000);
static const int64_t now = 1800000000000;

static void
a_policy_ends_soon_when_it_can_t_be_had_again_within_a_week(void **state)
{
    static char enforce[] =
        "version: STSv1\nmode: enforce\nmx: a.example\nmax_age: 86400\n";
    static char testing[] =
        "version: STSv1\nmode: testing\nmx: a.example\nmax_age: 86400\n";
    static char none[] = "version: STSv1\nmode: none\nmax_age: 86400\n";
    static char broken[] = "nothing";
    static char why[] = "404";
    const struct {
        char *text, *failure;
        int64_t left_ms;
        bool is_soon;
    } rows[] = {
        {enforce, why, day, true},
        {testing, why, day, true},
        {enforce, why, 7 * day, true},
        {enforce, why, 1, true},
        {enforce, why, 7 * day + 1, false},
        {enforce, why, 0, false},
        {enforce, why, -day, false},
        {enforce, NULL, day, false},
        {none, why, day, false},
        {broken, why, day, false},
        {NULL, why, day, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct policy_sts_entry e = {.text = rows[i].text,
                                     .failure = rows[i].failure,
                                     .expires_ms = now + rows[i].left_ms};

        assert_int_equal(expiring_is_soon(&e, now), rows[i].is_soon);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            a_policy_ends_soon_when_it_can_t_be_had_again_within_a_week),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
