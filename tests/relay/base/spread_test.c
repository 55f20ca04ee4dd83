#include "relay/base/spread.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static void
nothing_has_no_quantile(void **state)
{
    struct spread s = {0};

    (void)state;
    assert_int_equal(spread_total(&s), 0);
    assert_int_equal(spread_quantile(&s, 500), -1);
}

static void
a_quantile_is_within_an_eighth_of_the_true_one(void **state)
{
    (void)state;
    for (int64_t ms = 0; ms < INT64_C(400000000); ms = ms * 9 / 8 + 1) {
        struct spread s = {0};

        spread_add(&s, ms);
        assert_true(llabs(spread_quantile(&s, 500) - ms) * 8 <= ms);
    }
}

static void
quantiles_are_those_of_all_that_was_added(void **state)
{
    struct spread a = {0}, b = {0};

    (void)state;
    for (int i = 0; i < 98; i++)
        spread_add(&a, 2);
    spread_add(&b, 1000);
    spread_add(&b, 3000000);
    spread_merge(&a, &b);
    assert_int_equal(spread_total(&a), 100);
    assert_int_equal(spread_quantile(&a, 500), 2);
    assert_int_equal(spread_quantile(&a, 980), 2);
    assert_in_range(spread_quantile(&a, 990), 875, 1125);
    assert_in_range(spread_quantile(&a, 1000), 2700000, 3300000);
}

static void
what_lies_outside_counts_at_the_ends(void **state)
{
    struct spread s = {0};

    (void)state;
    spread_add(&s, -5);
    assert_int_equal(spread_quantile(&s, 1000), 0);
    spread_add(&s, INT64_MAX);
    assert_true(spread_quantile(&s, 1000) > INT64_C(400000000));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_has_no_quantile),
        cmocka_unit_test(a_quantile_is_within_an_eighth_of_the_true_one),
        cmocka_unit_test(quantiles_are_those_of_all_that_was_added),
        cmocka_unit_test(what_lies_outside_counts_at_the_ends),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
