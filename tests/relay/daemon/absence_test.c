#include "relay/daemon/absence.h"

#include "queue/store_fixture.h"

static const int64_t HOUR = INT64_C(60) * 60 * 1000;
static const int64_t DAY = INT64_C(24) * 60 * 60 * 1000;
static const int64_t YEAR = INT64_C(365) * 24 * 60 * 60 * 1000;
static const int64_t T0 = INT64_C(1795442400000);

/* Of a start at that time: from when ages count. */
static int64_t
start(struct fixture *f, int64_t now_ms)
{
    int64_t from_ms = -1;

    OK(f, queue_store_begin(f->s, &f->err));
    OK(f, absence_end(f->s, now_ms, &from_ms, &f->err));
    OK(f, queue_store_commit(f->s, &f->err));
    return from_ms;
}

static void
short_absences_count_as_waiting(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(start(f, T0), 0);
    assert_int_equal(start(f, T0 + HOUR), 0);
    assert_int_equal(start(f, T0 + HOUR + DAY), 0);
    assert_int_equal(start(f, T0 + HOUR + DAY), 0);
}

static void
behind_a_long_one_ages_begin_anew(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(start(f, T0), 0);
    assert_int_equal(start(f, T0 + 9 * DAY), T0 + 9 * DAY);
    assert_int_equal(start(f, T0 + 10 * DAY), T0 + 9 * DAY);
    assert_int_equal(start(f, T0 + 20 * DAY), T0 + 20 * DAY);
}

/* However often it starts meanwhile. */
static void
a_clock_far_ahead_makes_nothing_old(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(start(f, T0), 0);
    assert_int_equal(start(f, T0 + 10 * YEAR), T0 + 10 * YEAR);
    assert_int_equal(start(f, T0 + 10 * YEAR + HOUR), T0 + 10 * YEAR);
    assert_int_equal(start(f, T0 + 2 * HOUR), 0);
    assert_int_equal(start(f, T0 + 3 * HOUR), 0);
}

static void
a_clock_that_went_back_makes_nothing_older(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(start(f, T0), 0);
    assert_int_equal(start(f, HOUR), 0);
    assert_int_equal(start(f, T0), T0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(short_absences_count_as_waiting),
        TEST(behind_a_long_one_ages_begin_anew),
        TEST(a_clock_far_ahead_makes_nothing_old),
        TEST(a_clock_that_went_back_makes_nothing_older),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
