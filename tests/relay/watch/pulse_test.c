#include "relay/watch/pulse.h"

#include "relay/net/timer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void
what_has_not_begun_is_not_late(void **state)
{
    struct pulse p = {0};

    (void)state;
    assert_int_equal(pulse_age_ms(&p), 0);
    assert_int_equal(pulse_lag_ms(&p), 0);
}

static void
age_is_counted_from_the_last_beat(void **state)
{
    struct pulse p = {0};

    (void)state;
    pulse_beat(&p);
    assert_in_range(pulse_age_ms(&p), 0, 1000);
    p.beat_ms -= 60 * 1000;
    assert_in_range(pulse_age_ms(&p), 60 * 1000, 61 * 1000);
    pulse_beat(&p);
    assert_in_range(pulse_age_ms(&p), 0, 1000);
}

/* As if something had kept the loop from turning for five seconds. */
static void
a_loop_that_was_held_up_shows_it(void **state)
{
    struct pulse p = {0};
    uv_loop_t loop;

    (void)state;
    assert_int_equal(uv_loop_init(&loop), 0);
    pulse_start(&p, &loop);
    net_timer_set(p.timer, 0);
    p.beat_ms -= PULSE_MS + 5000;
    (void)uv_run(&loop, UV_RUN_ONCE);
    assert_in_range(pulse_lag_ms(&p), 5000, 6000);
    assert_in_range(pulse_age_ms(&p), 0, 1000);
    pulse_stop(&p);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_has_not_begun_is_not_late),
        cmocka_unit_test(age_is_counted_from_the_last_beat),
        cmocka_unit_test(a_loop_that_was_held_up_shows_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
