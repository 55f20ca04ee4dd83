#include "relay/watch/event_hub.h"

#include "relay/base/mem.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
    uv_loop_t loop;
    int null;
    struct log *log;
    struct event_hub *hub;
    unsigned news;
};

static int
set_up(void **state)
{
    const struct log_setup setup = {LOG_FORMAT_TEXT, LOG_LEVEL_INFO,
                                    LOG_ADDRESSES_FULL};
    struct fixture *f = mem_new(struct fixture);
    struct err err;

    uv_loop_init(&f->loop);
    f->null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    f->log = log_open(f->null, &setup, &err);
    f->hub = event_hub_new(&f->loop, f->log);
    *state = f;
    return f->log ? 0 : -1;
}

static int
tear_down(void **state)
{
    struct fixture *f = *state;

    event_hub_free(&f->hub);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&f->loop), 0);
    log_close(&f->log);
    own_close(&f->null);
    free(f);
    return 0;
}

static void
news(void *ctx)
{
    struct fixture *f = ctx;

    f->news++;
}

static struct event_reader *
join(struct fixture *f, const char *events, const char *last)
{
    struct event_filter filter = {.events = mem_text(events)};
    struct event_reader *r;
    struct err err;

    r = event_reader_new(f->hub, &filter, last, news, f, &err);
    event_filter_done(&filter);
    return r;
}

static void
say(struct fixture *f, const char *event, int64_t number)
{
    struct log_line line;

    log_begin(&line, f->log, LOG_LEVEL_INFO, event);
    log_int(&line, "n", number);
    log_end(&line);
}

static void
turn(struct fixture *f)
{
    uv_run(&f->loop, UV_RUN_NOWAIT);
}

/* The number of the next event; -1: there is none; -2: something was missed. */
static int64_t
next(struct event_reader *r, struct event *e)
{
    scoped(own_free) char *line = NULL;
    const char *n;

    if (!event_reader_next(r, e))
        return -1;
    if (!e->name)
        return -2;
    line = mem_copy(e->line);
    n = strstr(line, "\"n\":");
    assert_non_null(n);
    return strtoll(n + 4, NULL, 10);
}

static void
a_reader_sees_what_comes_from_now_on(void **state)
{
    struct fixture *f = *state;
    struct event_reader *r scoped(event_reader_free) = NULL;
    struct event e;

    say(f, "x", 1);
    r = join(f, NULL, NULL);
    assert_int_equal(next(r, &e), -1);
    say(f, "y", 2);
    say(f, "z", 3);
    turn(f);
    assert_int_equal(f->news, 1);
    assert_int_equal(next(r, &e), 2);
    assert_string_equal(e.name, "y");
    assert_int_equal(next(r, &e), 3);
    assert_int_equal(next(r, &e), -1);
}

static void
each_goes_its_own_way_by_its_own_filter(void **state)
{
    struct fixture *f = *state;
    struct event_reader *a scoped(event_reader_free) = join(f, "a.*", NULL);
    struct event_reader *b scoped(event_reader_free) = join(f, "b", NULL);
    struct event e;

    say(f, "a.1", 1);
    say(f, "b", 2);
    say(f, "a.2", 3);
    turn(f);
    assert_int_equal(next(b, &e), 2);
    assert_int_equal(next(b, &e), -1);
    assert_int_equal(next(a, &e), 1);
    say(f, "b", 4);
    turn(f);
    assert_int_equal(next(a, &e), 3);
    assert_int_equal(next(a, &e), -1);
    assert_int_equal(next(b, &e), 4);
}

static void
who_is_slow_learns_how_many_of_its_own_it_lost(void **state)
{
    struct fixture *f = *state;
    struct event_reader *slow scoped(event_reader_free) = join(f, "a", NULL);
    struct event_reader *idle scoped(event_reader_free) = join(f, "b", NULL);
    struct event e;
    int64_t first;

    for (int64_t i = 0; i < 10000; i++) {
        say(f, i % 2 ? "a" : "c", i);
        if (i % 100 == 0)
            turn(f);
    }
    turn(f);
    assert_int_equal(next(slow, &e), -2);
    assert_in_range(e.missed, 1, 4999);
    first = (int64_t)e.missed * 2 + 1;
    assert_int_equal(next(slow, &e), first);
    assert_int_equal(next(idle, &e), -1);
    while ((first = next(slow, &e)) != 9999)
        assert_true(first >= 0);
}

static void
who_comes_again_goes_on_behind_its_last(void **state)
{
    struct fixture *f = *state;
    struct event_reader *r = join(f, NULL, NULL);
    char last[EVENT_ID_SIZE];
    struct event e;

    say(f, "a", 1);
    turn(f);
    assert_int_equal(next(r, &e), 1);
    memcpy(last, e.id, sizeof(last));
    event_reader_free(&r);
    say(f, "a", 2);
    say(f, "b", 3);
    r = join(f, "b", last);
    assert_int_equal(next(r, &e), 3);
    assert_int_equal(next(r, &e), -1);
    event_reader_free(&r);
    r = join(f, "b", NULL); /* in the place of the other, with no id */
    assert_int_equal(next(r, &e), -1);
    event_reader_free(&r);
    r = join(f, "a", e.id);
    event_reader_free(&r);
}

static void
what_the_ring_no_longer_has_is_counted(void **state)
{
    struct fixture *f = *state;
    struct event_reader *r = join(f, NULL, NULL);
    char last[EVENT_ID_SIZE];
    struct event e;

    say(f, "a", 0);
    turn(f);
    assert_int_equal(next(r, &e), 0);
    memcpy(last, e.id, sizeof(last));
    event_reader_free(&r);
    for (int64_t i = 1; i < 8000; i++) {
        say(f, "a", i);
        if (i % 100 == 0)
            turn(f);
    }
    r = join(f, NULL, last);
    assert_int_equal(next(r, &e), -2);
    assert_int_equal(next(r, &e), (int64_t)e.missed + 1);
    event_reader_free(&r);
}

static void
of_another_life_nothing_is_known(void **state)
{
    static const char *const ids[] = {"1-1", "ffffffffffff-7",
                                      "18446744073709551616-1"};
    struct fixture *f = *state;
    struct event e;

    for (size_t i = 0; i < sizeof(ids) / sizeof(*ids); i++) {
        struct event_reader *r scoped(event_reader_free) =
            join(f, NULL, ids[i]);

        assert_int_equal(next(r, &e), -2);
        assert_int_equal(e.missed, 0);
        assert_int_equal(next(r, &e), -1);
    }
}

static void
an_id_that_is_none_is_passed_over(void **state)
{
    static const char *const ids[] = {"", "-", "1", "1-", "x-1", "1-1x", "1 1"};
    struct fixture *f = *state;
    struct event e;

    for (size_t i = 0; i < sizeof(ids) / sizeof(*ids); i++) {
        struct event_reader *r scoped(event_reader_free) =
            join(f, NULL, ids[i]);

        assert_int_equal(next(r, &e), -1);
    }
}

static void
there_is_room_for_so_many(void **state)
{
    struct fixture *f = *state;
    struct event_reader *r[EVENT_HUB_READERS_MAX];

    for (size_t i = 0; i < EVENT_HUB_READERS_MAX; i++) {
        r[i] = join(f, NULL, NULL);
        assert_non_null(r[i]);
    }
    assert_null(join(f, NULL, NULL));
    event_reader_free(&r[3]);
    r[3] = join(f, NULL, NULL);
    assert_non_null(r[3]);
    assert_int_equal(event_hub_count(f->hub), EVENT_HUB_READERS_MAX);
    for (size_t i = 0; i < EVENT_HUB_READERS_MAX; i++)
        event_reader_free(&r[i]);
    assert_int_equal(event_hub_count(f->hub), 0);
}

static void
the_end_is_told_behind_the_last_event(void **state)
{
    struct fixture *f = *state;
    struct event_reader *r scoped(event_reader_free) = join(f, NULL, NULL);
    struct event e;

    say(f, "last", 1);
    assert_false(event_reader_is_over(r));
    event_hub_close(f->hub);
    assert_int_equal(f->news, 1);
    assert_int_equal(next(r, &e), 1);
    assert_true(event_reader_is_over(r));
    assert_null(join(f, NULL, NULL));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_reader_sees_what_comes_from_now_on),
        TEST(each_goes_its_own_way_by_its_own_filter),
        TEST(who_is_slow_learns_how_many_of_its_own_it_lost),
        TEST(who_comes_again_goes_on_behind_its_last),
        TEST(what_the_ring_no_longer_has_is_counted),
        TEST(of_another_life_nothing_is_known),
        TEST(an_id_that_is_none_is_passed_over),
        TEST(there_is_room_for_so_many),
        TEST(the_end_is_told_behind_the_last_event),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
