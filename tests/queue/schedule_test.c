#include "queue/schedule.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { MINUTE = 60 * 1000, HOUR = 60 * MINUTE, DAY = 24 * HOUR };

static const struct queue_schedule usual = {
    .step_ms = {MINUTE, 5 * MINUTE, 15 * MINUTE, 30 * MINUTE, HOUR, 2 * HOUR,
                4 * HOUR},
    .steps = 7,
    .expire_ms = 5 * DAY,
    .warn_ms = 4 * HOUR,
};

static const int64_t now = 1700000000000;

/* Any generator will do, as long as it is the same in every run. */
static uint64_t
next_random(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005U + 1442695040888963407U;
    return *seed ^ *seed >> 29;
}

static void
steps_are_taken_in_turn_and_the_last_repeats(void **state)
{
    (void)state;
    for (uint32_t n = 1; n < 100; n++) {
        size_t i = n <= usual.steps ? n - 1 : usual.steps - 1;
        int64_t step = usual.step_ms[i];

        /* The middle of the jitter is the step itself. */
        assert_int_equal(
            queue_schedule_next(&usual, n, now, (uint64_t)(step / 10)),
            now + step);
    }
}

static void
jitter_reaches_a_tenth_either_way_and_no_further(void **state)
{
    int64_t low = INT64_MAX, high = 0;
    uint64_t seed = 1;

    (void)state;
    for (int i = 0; i < 100000; i++) {
        int64_t wait =
            queue_schedule_next(&usual, 3, now, next_random(&seed)) - now;

        low = wait < low ? wait : low;
        high = wait > high ? wait : high;
    }
    assert_true(low >= 15 * MINUTE * 9 / 10);
    assert_true(high <= 15 * MINUTE * 11 / 10);
    assert_true(low < 15 * MINUTE * 91 / 100);
    assert_true(high > 15 * MINUTE * 109 / 100);
}

static void
no_answer_is_in_the_past_or_behind_the_latest(void **state)
{
    uint64_t seed = 2;

    (void)state;
    for (int i = 0; i < 100000; i++) {
        uint32_t attempts = (uint32_t)(next_random(&seed) % 200);
        int64_t next =
            queue_schedule_next(&usual, attempts, now, next_random(&seed));

        assert_true(next > now);
        assert_true(next <= queue_schedule_latest(&usual, now));
    }
}

static void
later_attempts_wait_no_less_than_the_first_step(void **state)
{
    const struct queue_schedule odd = {
        .step_ms = {10 * MINUTE, MINUTE, 10 * MINUTE}, .steps = 3};
    uint64_t seed = 3;

    (void)state;
    for (uint32_t n = 2; n < 1000; n++)
        assert_true(queue_schedule_next(&odd, n, now, next_random(&seed)) >=
                    now + 10 * MINUTE);
}

static void
a_growing_schedule_grows_whatever_the_jitter(void **state)
{
    uint64_t seed = 4;

    (void)state;
    for (int i = 0; i < 10000; i++) {
        int64_t before = 0;

        for (uint32_t n = 1; n <= usual.steps; n++) {
            int64_t next =
                queue_schedule_next(&usual, n, now, next_random(&seed));

            assert_true(next > before);
            before = next;
        }
    }
}

static void
attempt_zero_counts_as_the_first(void **state)
{
    (void)state;
    assert_int_equal(queue_schedule_next(&usual, 0, now, 99),
                     queue_schedule_next(&usual, 1, now, 99));
}

static void
steps_too_short_to_jitter_are_exact(void **state)
{
    const struct queue_schedule quick = {.step_ms = {5}, .steps = 1};

    (void)state;
    for (uint64_t random = 0; random < 50; random++)
        assert_int_equal(queue_schedule_next(&quick, 1, now, random), now + 5);
}

static void
enormous_steps_do_not_overflow(void **state)
{
    const struct queue_schedule slow = {.step_ms = {INT64_MAX}, .steps = 1};

    (void)state;
    assert_true(queue_schedule_next(&slow, 1, now, UINT64_MAX) > now);
    assert_true(queue_schedule_next(&slow, 1, INT64_MAX, 0) == INT64_MAX);
    assert_true(queue_schedule_latest(&slow, now) == INT64_MAX);
}

static void
the_latest_follows_the_longest_step(void **state)
{
    const struct queue_schedule odd = {.step_ms = {HOUR, MINUTE}, .steps = 2};

    (void)state;
    assert_int_equal(queue_schedule_latest(&odd, now), now + HOUR + HOUR / 10);
    assert_int_equal(queue_schedule_latest(&usual, now),
                     now + 4 * HOUR + 4 * HOUR / 10);
}

static void
expiry_wants_age_and_attempts(void **state)
{
    static const struct {
        uint32_t attempts;
        int64_t age;
        bool expired;
    } cases[] = {
        {0, 6 * (int64_t)DAY, false},     {4, 6 * (int64_t)DAY, false},
        {5, 6 * (int64_t)DAY, true},      {5, 5 * (int64_t)DAY, true},
        {5, 5 * (int64_t)DAY - 1, false}, {1000, 0, false},
        {1000, -(int64_t)DAY, false},    /* the clock was set back */
        {4, 3650 * (int64_t)DAY, false}, /* or far ahead */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
        assert_int_equal(queue_schedule_is_expired(&usual, cases[i].attempts,
                                                   now - cases[i].age, now),
                         cases[i].expired);
    assert_true(queue_schedule_is_expired(&usual, 5, INT64_MIN, INT64_MAX));
}

static void
a_message_is_late_from_the_moment_of_the_warning(void **state)
{
    struct queue_schedule silent = usual;

    (void)state;
    assert_false(queue_schedule_is_late(&usual, now - 4 * HOUR + 1, now));
    assert_true(queue_schedule_is_late(&usual, now - 4 * HOUR, now));
    assert_false(queue_schedule_is_late(&usual, now + HOUR, now));
    silent.warn_ms = 0;
    assert_false(queue_schedule_is_late(&silent, now - DAY, now));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps_are_taken_in_turn_and_the_last_repeats),
        cmocka_unit_test(jitter_reaches_a_tenth_either_way_and_no_further),
        cmocka_unit_test(no_answer_is_in_the_past_or_behind_the_latest),
        cmocka_unit_test(later_attempts_wait_no_less_than_the_first_step),
        cmocka_unit_test(a_growing_schedule_grows_whatever_the_jitter),
        cmocka_unit_test(attempt_zero_counts_as_the_first),
        cmocka_unit_test(steps_too_short_to_jitter_are_exact),
        cmocka_unit_test(enormous_steps_do_not_overflow),
        cmocka_unit_test(the_latest_follows_the_longest_step),
        cmocka_unit_test(expiry_wants_age_and_attempts),
        cmocka_unit_test(a_message_is_late_from_the_moment_of_the_warning),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
