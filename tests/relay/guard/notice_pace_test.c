#include "relay/guard/notice_pace.h"

#include <stdio.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { MINUTE = 60 * 1000, HOUR = 60 * MINUTE };

static const struct hash_key key = {{1, 2}};
static const int64_t start = 1800000000000;
static const struct span_rate sixty = {60, HOUR};

static int64_t
one_more(struct notice_pace *p, const char *sender, int64_t now)
{
    return notice_pace_take(p, &sixty, sender, NOTICE_PACE_WAIT_MAX_MS, now);
}

/* FAULTS A96. */
static void
what_is_too_much_goes_out_evenly(void **state)
{
    scoped(notice_pace_free) struct notice_pace *p = notice_pace_new(&key);

    (void)state;
    for (unsigned i = 0; i < 60; i++)
        assert_int_equal(one_more(p, "a@b.example", start), 0);
    for (unsigned i = 1; i <= 60; i++)
        assert_int_equal(one_more(p, "a@b.example", start), i * MINUTE);
    /* those that wait keep their turns */
    assert_int_equal(one_more(p, "a@b.example", start + 30 * MINUTE),
                     31 * MINUTE);
    assert_int_equal(one_more(p, "a@b.example", start + 90 * MINUTE), 0);
}

static void
a_span_later_all_may_come_again(void **state)
{
    scoped(notice_pace_free) struct notice_pace *p = notice_pace_new(&key);

    (void)state;
    for (unsigned round = 0; round < 3; round++) {
        int64_t now = start + round * (int64_t)HOUR;

        for (unsigned i = 0; i < 60; i++)
            assert_int_equal(one_more(p, "a@b.example", now), 0);
    }
    assert_int_equal(one_more(p, "a@b.example", start + 2 * (int64_t)HOUR),
                     MINUTE);
}

static void
no_notice_waits_longer_than_it_may(void **state)
{
    scoped(notice_pace_free) struct notice_pace *p = notice_pace_new(&key);
    static const struct span_rate one = {1, HOUR};

    (void)state;
    assert_int_equal(
        notice_pace_take(p, &one, "a@b.example", 90 * MINUTE, start), 0);
    assert_int_equal(
        notice_pace_take(p, &one, "a@b.example", 90 * MINUTE, start), HOUR);
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(
            notice_pace_take(p, &one, "a@b.example", 90 * MINUTE, start),
            90 * MINUTE);
    assert_int_equal(notice_pace_take(p, &one, "a@b.example", 0, start), 0);
}

static void
each_sender_has_his_own(void **state)
{
    scoped(notice_pace_free) struct notice_pace *p = notice_pace_new(&key);

    (void)state;
    for (unsigned i = 0; i < 60; i++)
        (void)one_more(p, i % 2 ? "a@b.example" : "A@B.Example", start);
    assert_int_equal(one_more(p, "a@B.example", start), MINUTE);
    assert_int_equal(one_more(p, "b@b.example", start), 0);
    assert_int_equal(one_more(p, "a@b.example.org", start), 0);
}

static void
without_a_limit_nothing_waits(void **state)
{
    scoped(notice_pace_free) struct notice_pace *p = notice_pace_new(&key);
    static const struct span_rate none = {0, HOUR};

    (void)state;
    for (unsigned i = 0; i < 1000; i++)
        assert_int_equal(notice_pace_take(p, &none, "a@b.example",
                                          NOTICE_PACE_WAIT_MAX_MS, start),
                         0);
}

/* The largest that a configuration can say. */
static void
rates_without_reason_do_no_harm(void **state)
{
    scoped(notice_pace_free) struct notice_pace *p = notice_pace_new(&key);
    static const struct span_rate many = {INT64_MAX, HOUR};

    (void)state;
    for (unsigned i = 0; i < 1000; i++)
        assert_int_equal(notice_pace_take(p, &many, "a@b.example",
                                          NOTICE_PACE_WAIT_MAX_MS, start),
                         0);
}

static void
who_was_touched_longest_ago_makes_room(void **state)
{
    scoped(notice_pace_free) struct notice_pace *p = notice_pace_new(&key);

    (void)state;
    for (unsigned i = 0; i < 60; i++)
        (void)one_more(p, "old@b.example", start);
    for (unsigned i = 0; i < NOTICE_PACE_SENDERS_MAX; i++) {
        char sender[32];

        (void)snprintf(sender, sizeof(sender), "u%u@b.example", i);
        (void)one_more(p, sender, start);
        if (i < 60)
            (void)one_more(p, "busy@b.example", start);
        else if (i % 1000 == 0)
            assert_true(one_more(p, "busy@b.example", start) > 0);
    }
    assert_int_equal(one_more(p, "old@b.example", start), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_too_much_goes_out_evenly),
        cmocka_unit_test(a_span_later_all_may_come_again),
        cmocka_unit_test(no_notice_waits_longer_than_it_may),
        cmocka_unit_test(each_sender_has_his_own),
        cmocka_unit_test(without_a_limit_nothing_waits),
        cmocka_unit_test(rates_without_reason_do_no_harm),
        cmocka_unit_test(who_was_touched_longest_ago_makes_room),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
