#include "relay/net/timer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <unistd.h>

#include <cmocka.h>

struct alarm {
    uv_loop_t loop;
    struct net_timer *timer;
    int calls;
    bool frees, sets_again;
};

static void
fired(void *ctx)
{
    struct alarm *a = ctx;

    a->calls++;
    if (a->frees)
        net_timer_free(&a->timer);
    if (a->sets_again && a->calls == 1)
        net_timer_set(a->timer, 1);
}

static void
begin(struct alarm *a)
{
    *a = (struct alarm){0};
    assert_int_equal(uv_loop_init(&a->loop), 0);
    a->timer = net_timer_new(&a->loop, fired, a);
}

static void
end(struct alarm *a)
{
    net_timer_free(&a->timer);
    assert_null(a->timer);
    net_timer_free(&a->timer);
    uv_run(&a->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&a->loop), 0);
}

static void
a_timer_fires_once(void **state)
{
    struct alarm a;
    uint64_t before = uv_hrtime();

    (void)state;
    begin(&a);
    net_timer_set(a.timer, 20);
    assert_int_equal(a.calls, 0);
    uv_run(&a.loop, UV_RUN_DEFAULT);
    assert_int_equal(a.calls, 1);
    assert_true(uv_hrtime() - before >= 19 * 1000000);
    end(&a);
}

static void
a_timer_set_late_in_a_turn_keeps_its_whole_time(void **state)
{
    struct alarm a;
    uint64_t before;

    (void)state;
    begin(&a);
    usleep(50 * 1000);
    before = uv_hrtime();
    net_timer_set(a.timer, 30);
    uv_run(&a.loop, UV_RUN_DEFAULT);
    assert_true(uv_hrtime() - before >= 25 * 1000000);
    end(&a);
}

static void
setting_again_replaces_the_first_time(void **state)
{
    struct alarm a;

    (void)state;
    begin(&a);
    net_timer_set(a.timer, 100000);
    net_timer_set(a.timer, 1);
    uv_run(&a.loop, UV_RUN_DEFAULT);
    assert_int_equal(a.calls, 1);
    end(&a);
}

static void
a_timer_may_be_set_again_as_it_fires(void **state)
{
    struct alarm a;

    (void)state;
    begin(&a);
    a.sets_again = true;
    net_timer_set(a.timer, 1);
    uv_run(&a.loop, UV_RUN_DEFAULT);
    assert_int_equal(a.calls, 2);
    end(&a);
}

static void
a_stopped_timer_is_silent(void **state)
{
    struct alarm a;

    (void)state;
    begin(&a);
    net_timer_set(a.timer, 1);
    net_timer_stop(a.timer);
    net_timer_stop(a.timer);
    uv_run(&a.loop, UV_RUN_DEFAULT);
    assert_int_equal(a.calls, 0);
    end(&a);
}

static void
a_timer_may_be_freed_as_it_fires_and_before(void **state)
{
    struct alarm a;

    (void)state;
    begin(&a);
    a.frees = true;
    net_timer_set(a.timer, 1);
    uv_run(&a.loop, UV_RUN_DEFAULT);
    assert_int_equal(a.calls, 1);
    end(&a);

    begin(&a);
    net_timer_set(a.timer, 1);
    net_timer_free(&a.timer);
    uv_run(&a.loop, UV_RUN_DEFAULT);
    assert_int_equal(a.calls, 0);
    end(&a);
}

static void
the_steady_clock_starts_as_the_wall_clock_and_goes_on(void **state)
{
    int64_t first = net_clock_steady();
    int64_t apart = net_clock_wall() - first;

    (void)state;
    assert_true(apart > -1000 && apart < 1000);
    usleep(30 * 1000);
    assert_true(net_clock_steady() - first >= 29);
    assert_true(net_clock_steady() - first < 5000);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_timer_fires_once),
        cmocka_unit_test(a_timer_set_late_in_a_turn_keeps_its_whole_time),
        cmocka_unit_test(setting_again_replaces_the_first_time),
        cmocka_unit_test(a_timer_may_be_set_again_as_it_fires),
        cmocka_unit_test(a_stopped_timer_is_silent),
        cmocka_unit_test(a_timer_may_be_freed_as_it_fires_and_before),
        cmocka_unit_test(the_steady_clock_starts_as_the_wall_clock_and_goes_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
