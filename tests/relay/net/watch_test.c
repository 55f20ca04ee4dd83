#include "relay/net/watch.h"

#include "relay/base/own.h"
#include "relay/net/timer.h"
#include "tests/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct look {
    uv_loop_t loop;
    struct scratch dir;
    struct net_watch *watch;
    unsigned changes;
};

static void
changed(void *ctx)
{
    struct look *l = ctx;

    l->changes++;
    net_watch_free(&l->watch);
}

static void
fired(void *ctx)
{
    uv_stop(ctx);
}

static void
run_ms(struct look *l, uint64_t ms)
{
    struct net_timer *t = net_timer_new(&l->loop, fired, &l->loop);

    net_timer_set(t, ms);
    (void)uv_run(&l->loop, UV_RUN_DEFAULT);
    net_timer_free(&t);
    (void)uv_run(&l->loop, UV_RUN_NOWAIT);
}

static void
start(struct look *l)
{
    *l = (struct look){0};
    uv_loop_init(&l->loop);
    scratch_make(&l->dir);
    scratch_write(&l->dir, "secret", "one", 3);
    l->watch =
        net_watch_new(&l->loop, scratch_file(&l->dir, "secret"), changed, l);
    run_ms(l, 100); /* its first look */
}

static void
stop(struct look *l)
{
    net_watch_free(&l->watch);
    (void)uv_run(&l->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&l->loop), 0);
    scratch_remove(&l->dir);
}

static void
a_file_that_is_written_or_replaced_or_removed_has_changed(void **state)
{
    (void)state;
    for (int way = 0; way < 3; way++) {
        scoped(stop) struct look l;

        start(&l);
        if (way == 0)
            scratch_write(&l.dir, "secret", "three", 5);
        if (way == 1) {
            char from[PATH_MAX];

            scratch_write(&l.dir, "new", "two", 3);
            (void)snprintf(from, sizeof(from), "%s", l.dir.file);
            assert_int_equal(rename(from, scratch_file(&l.dir, "secret")), 0);
        }
        if (way == 2)
            (void)unlink(scratch_file(&l.dir, "secret"));
        run_ms(&l, NET_WATCH_MS + 1000);
        assert_int_equal(l.changes, 1);
    }
}

static void
one_that_stays_as_it_is_has_not(void **state)
{
    scoped(stop) struct look l;

    (void)state;
    start(&l);
    run_ms(&l, NET_WATCH_MS + 500);
    assert_int_equal(l.changes, 0);
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            a_file_that_is_written_or_replaced_or_removed_has_changed),
        cmocka_unit_test(one_that_stays_as_it_is_has_not),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
