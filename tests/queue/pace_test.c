#include "queue/pace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>

#include <cmocka.h>

static void
without_a_limit_all_may_go(void **state)
{
    struct queue_pace p = {0};

    (void)state;
    assert_int_equal(queue_pace_take(&p, 1000, 5), 1000);
    assert_int_equal(queue_pace_wait_ms(&p, 5), 0);
}

static void
a_span_holds_so_many_and_no_more(void **state)
{
    struct queue_pace p = {0};

    (void)state;
    queue_pace_set(&p, 10, 60000);
    assert_int_equal(queue_pace_take(&p, 7, 1), 7);
    assert_int_equal(queue_pace_take(&p, 7, 1), 3);
    assert_int_equal(queue_pace_take(&p, 7, 1), 0);
    assert_int_equal(queue_pace_wait_ms(&p, 1), 6000);
    assert_int_equal(queue_pace_take(&p, 7, 6000), 0);
    assert_int_equal(queue_pace_take(&p, 7, 6001), 1);
}

static void
in_any_window_no_more_than_two_spans_worth_go(void **state)
{
    struct queue_pace p = {0};
    size_t total = 0;

    (void)state;
    queue_pace_set(&p, 100, 1000);
    for (int64_t now = 1; now <= 10000; now += 7)
        total += queue_pace_take(&p, 50, now);
    assert_in_range(total, 1000, 1100);
}

static void
waiting_as_told_is_always_enough(void **state)
{
    struct queue_pace p = {0};
    int64_t now = 1;

    (void)state;
    queue_pace_set(&p, 7, 1000);
    for (int i = 0; i < 1000; i++) {
        now += queue_pace_wait_ms(&p, now);
        assert_int_equal(queue_pace_take(&p, 1, now), 1);
    }
}

static void
a_clock_that_goes_back_gives_nothing_away(void **state)
{
    struct queue_pace p = {0};

    (void)state;
    queue_pace_set(&p, 1, 1000);
    assert_int_equal(queue_pace_take(&p, 1, 50000), 1);
    assert_int_equal(queue_pace_take(&p, 1, 40000), 0);
}

static void
the_same_limit_again_changes_nothing(void **state)
{
    struct queue_pace p = {0};

    (void)state;
    queue_pace_set(&p, 1, 1000);
    assert_int_equal(queue_pace_take(&p, 1, 1), 1);
    queue_pace_set(&p, 1, 1000);
    assert_int_equal(queue_pace_take(&p, 1, 2), 0);
    queue_pace_set(&p, 2, 1000);
    assert_int_equal(queue_pace_take(&p, 9, 2), 2);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_limit_all_may_go),
        cmocka_unit_test(a_span_holds_so_many_and_no_more),
        cmocka_unit_test(in_any_window_no_more_than_two_spans_worth_go),
        cmocka_unit_test(waiting_as_told_is_always_enough),
        cmocka_unit_test(a_clock_that_goes_back_gives_nothing_away),
        cmocka_unit_test(the_same_limit_again_changes_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
