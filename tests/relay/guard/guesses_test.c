#include "relay/guard/guesses.h"

#include <stdio.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum {
    SECOND = 1000,
    MINUTE = 60 * SECOND,
    HOUR = 60 * MINUTE,
    DAY = 24 * HOUR
};

static const struct hash_key key = {{1, 2}};
static const int64_t start = 1800000000000;

static struct addr
peer(const char *text)
{
    struct addr a = {.any.sa_family = AF_UNSPEC};
    struct err err;

    if (text && !addr_parse(slice_of(text), &a, &err))
        fail_msg("%s", err.text);
    return a;
}

static unsigned
miss(struct guesses *g, const char *from, const char *user, int64_t now)
{
    struct addr a = peer(from);

    return guesses_failed(g, &a, user, now);
}

static unsigned
wait_of(struct guesses *g, const char *from, const char *user, int64_t now)
{
    struct addr a = peer(from);

    return guesses_wait(g, &a, user, now);
}

static void
pass(struct guesses *g, const char *from, const char *user, int64_t now)
{
    struct addr a = peer(from);

    guesses_passed(g, &a, user, now);
}

static void
from_the_fourth_on_answers_come_later_and_later(void **state)
{
    scoped(guesses_free) struct guesses *g =
        guesses_new(&key, GUESSES_OF_PASSWORDS);

    (void)state;
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(miss(g, "192.0.2.1", "a", start), 0);
    assert_int_equal(miss(g, "192.0.2.1", "a", start), 500);
    assert_int_equal(miss(g, "192.0.2.1", "b", start), 1000);
    assert_int_equal(miss(g, "192.0.2.2", "a", start), 0);
    for (unsigned i = 0; i < 20; i++)
        (void)miss(g, "192.0.2.1", "a", start + i * MINUTE);
    assert_int_equal(miss(g, "192.0.2.1", "a", start + 30 * MINUTE), 5000);
    assert_int_equal(miss(g, "192.0.2.1", "a", start + DAY + HOUR), 0);
}

/* Which of these addresses is stopped once `count` guesses came from those,
 * each at another user: FAULTS A86. */
static const struct {
    const char *front, *back; /* of the guesser, a running number between */
    bool is_hex;
    unsigned count;
    const char *other;
    bool is_stopped;
} nets[] = {
    {"192.0.2.1", NULL, false, 9, "192.0.2.1", false},
    {"192.0.2.1", NULL, false, 10, "192.0.2.1", true},
    {"192.0.2.1", NULL, false, 10, "192.0.2.2", false},
    {"192.0.2.", "", false, 29, "192.0.2.63", false},
    {"192.0.2.", "", false, 30, "192.0.2.63", true},
    {"192.0.2.", "", false, 30, "192.0.2.64", false},
    {"192.0.", ".77", false, 7, "192.0.0.5", false},
    {"2001:db8::", "", true, 9, "2001:db8::abcd", false},
    {"2001:db8::", "", true, 10, "2001:db8::ffff:1", true},
    {"2001:db8::", "", true, 10, "2001:db8:0:1::1", false},
    {"2001:db8:0:", "::1", true, 30, "2001:db8:0:ffff::1", true},
    {"2001:db8:0:", "::1", true, 30, "2001:db8:1::1", false},
    {"2001:db8:", "::1", true, 90, "2001:db8:ffff::1", true},
    {"2001:db8:", "::1", true, 90, "2001:db9::1", false},
    {"127.0.0.2", NULL, false, 10, "127.0.0.2", true},
    /* everybody on this machine */
    {NULL, NULL, false, 200, NULL, false},
    {"127.0.0.1", NULL, false, 200, "127.0.0.1", false},
    {"::1", NULL, false, 200, "::1", false},
};

static void
networks_are_counted_at_three_widths(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(nets) / sizeof(nets[0]); i++) {
        scoped(guesses_free) struct guesses *g =
            guesses_new(&key, GUESSES_OF_PASSWORDS);

        for (unsigned j = 0; j < nets[i].count; j++) {
            char from[ADDR_TEXT_SIZE], user[32];

            if (!nets[i].back)
                (void)snprintf(from, sizeof(from), "%s",
                               nets[i].front ? nets[i].front : "");
            else if (nets[i].is_hex)
                (void)snprintf(from, sizeof(from), "%s%x%s", nets[i].front, j,
                               nets[i].back);
            else
                (void)snprintf(from, sizeof(from), "%s%u%s", nets[i].front, j,
                               nets[i].back);
            (void)snprintf(user, sizeof(user), "user%u", j);
            (void)miss(g, nets[i].front ? from : NULL, user, start);
        }
        if ((wait_of(g, nets[i].other, "x", start) > 0) != nets[i].is_stopped)
            fail_msg("row %zu", i);
    }
}

static void
a_user_is_counted_wherever_guesses_come_from(void **state)
{
    scoped(guesses_free) struct guesses *g =
        guesses_new(&key, GUESSES_OF_PASSWORDS);

    (void)state;
    for (unsigned i = 0; i < 30; i++) {
        char from[ADDR_TEXT_SIZE];

        assert_int_equal(wait_of(g, "203.0.113.1", "a", start), 0);
        (void)snprintf(from, sizeof(from), "10.%u.0.1", i);
        (void)miss(g, from, "a", start);
    }
    assert_int_equal(wait_of(g, "203.0.113.1", "a", start), 60);
    assert_int_equal(wait_of(g, "203.0.113.1", "b", start), 0);
}

static void
on_this_machine_only_the_user_is_counted(void **state)
{
    static const char *const near[] = {NULL, "127.0.0.1", "::1"};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        scoped(guesses_free) struct guesses *g =
            guesses_new(&key, GUESSES_OF_PASSWORDS);

        for (unsigned j = 0; j < 29; j++)
            (void)miss(g, near[i], "a", start);
        assert_int_equal(wait_of(g, near[i], "a", start), 0);
        assert_int_equal(miss(g, near[i], "a", start), 5000);
        assert_int_equal(wait_of(g, near[i], "a", start), 60);
        assert_int_equal(wait_of(g, near[i], "b", start), 0);
        assert_int_equal(miss(g, near[i], "b", start), 0);
    }
}

static void
a_minute_and_a_day_pass(void **state)
{
    scoped(guesses_free) struct guesses *g =
        guesses_new(&key, GUESSES_OF_PASSWORDS);
    int64_t now = start;

    (void)state;
    for (unsigned round = 0; round < 5; round++) {
        for (unsigned i = 0; i < 10; i++)
            (void)miss(g, "192.0.2.1", "a", now);
        assert_true(wait_of(g, "192.0.2.1", "a", now + MINUTE - 1) > 0);
        now += MINUTE;
        if (round < 4)
            assert_int_equal(wait_of(g, "192.0.2.1", "a", now), 0);
    }
    /* the 50th of a day */
    assert_int_equal(wait_of(g, "192.0.2.1", "a", now),
                     (DAY - 5 * MINUTE) / SECOND);
    assert_int_equal(wait_of(g, "192.0.2.1", "a", start + DAY), 0);
}

/* FAULTS A86: the right password from where it was right before. */
static void
a_known_client_is_not_locked_out_by_others(void **state)
{
    scoped(guesses_free) struct guesses *g =
        guesses_new(&key, GUESSES_OF_PASSWORDS);

    (void)state;
    pass(g, "192.0.2.1", "a", start);
    for (unsigned i = 0; i < 200; i++)
        (void)miss(g, i % 2 ? "192.0.2.2" : "192.0.2.1", i % 2 ? "a" : "b",
                   start + i);
    assert_true(wait_of(g, "192.0.2.1", "b", start + 200) > 0);
    assert_true(wait_of(g, "192.0.2.2", "a", start + 200) > 0);
    assert_int_equal(wait_of(g, "192.0.2.1", "a", start + 200), 0);
    /* only its own wrong ones count */
    for (unsigned i = 0; i < 10; i++)
        (void)miss(g, "192.0.2.1", "a", start + 300);
    assert_true(wait_of(g, "192.0.2.1", "a", start + 300) > 0);
    assert_int_equal(wait_of(g, "192.0.2.1", "a", start + 300 + MINUTE), 0);
}

static void
it_is_forgotten_who_has_not_come_for_a_month(void **state)
{
    scoped(guesses_free) struct guesses *g =
        guesses_new(&key, GUESSES_OF_PASSWORDS);
    int64_t later = start + GUESSES_KNOWN_MS;

    (void)state;
    pass(g, "192.0.2.1", "a", start);
    for (unsigned i = 0; i < 10; i++)
        (void)miss(g, "192.0.2.1", "b", later);
    assert_int_equal(wait_of(g, "192.0.2.1", "a", later - 1), 0);
    assert_true(wait_of(g, "192.0.2.1", "a", later) > 0);
}

static void
what_was_touched_longest_ago_makes_room(void **state)
{
    scoped(guesses_free) struct guesses *g =
        guesses_new(&key, GUESSES_OF_PASSWORDS);

    (void)state;
    for (unsigned i = 0; i < 30; i++)
        (void)miss(g, "192.0.2.1", "victim", start);
    for (unsigned i = 0; i < GUESSES_COUNTS_MAX; i++) {
        char from[ADDR_TEXT_SIZE];

        (void)snprintf(from, sizeof(from), "2001:db8:%x:%x::1", i >> 8,
                       i & 255);
        (void)miss(g, from, "other", start);
        if (i % 1000 == 0) /* goes on, so it is remembered */
            (void)miss(g, "198.51.100.1", "busy", start);
    }
    assert_true(wait_of(g, "198.51.100.1", "x", start) > 0);
    assert_int_equal(wait_of(g, "192.0.2.1", "y", start), 0);
}

/* FAULTS G12. */
static void
wrong_tokens_stop_a_network_for_a_minute(void **state)
{
    static const struct {
        const char *from, *other;
        bool is_stopped;
    } rows[] = {
        {"192.0.2.1", "192.0.2.1", true},
        {"192.0.2.1", "192.0.2.2", false},
        {"2001:db8::1", "2001:db8::ffff:1", true},
        {"2001:db8::1", "2001:db8:0:1::1", false},
        /* everybody on this machine */
        {NULL, NULL, false},
        {"127.0.0.1", "127.0.0.1", false},
        {"::1", "::1", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        scoped(guesses_free) struct guesses *g =
            guesses_new(&key, GUESSES_OF_TOKENS);
        int64_t now = start;

        /* however often in a day */
        for (unsigned j = 0; j < 200; j++) {
            if (j % 10 == 0)
                now += MINUTE;
            assert_int_equal(wait_of(g, rows[i].other, "", now), 0);
            (void)miss(g, rows[i].from, "", now);
        }
        if (wait_of(g, rows[i].other, "", now) != (rows[i].is_stopped ? 60 : 0))
            fail_msg("row %zu", i);
    }
}

static void
no_number_of_guessers_locks_out_who_has_the_token(void **state)
{
    scoped(guesses_free) struct guesses *g =
        guesses_new(&key, GUESSES_OF_TOKENS);

    (void)state;
    pass(g, "10.0.0.1", "", start);
    pass(g, "127.0.0.1", "", start);
    for (unsigned i = 0; i < 1000; i++) {
        char from[ADDR_TEXT_SIZE];

        (void)snprintf(from, sizeof(from), "10.0.%u.%u", i % 8, i % 250);
        if (i % 250 != 1)
            (void)miss(g, from, "", start);
        (void)miss(g, "127.0.0.1", "", start);
    }
    assert_int_equal(wait_of(g, "10.0.0.1", "", start), 0);
    assert_int_equal(wait_of(g, "127.0.0.1", "", start), 0);
    assert_int_equal(wait_of(g, "192.0.2.1", "", start), 0);
    assert_int_equal(wait_of(g, "10.0.0.99", "", start), 60);
    /* but by its own wrong ones */
    for (unsigned i = 0; i < 10; i++)
        (void)miss(g, "10.0.0.1", "", start);
    assert_int_equal(wait_of(g, "10.0.0.1", "", start), 60);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(from_the_fourth_on_answers_come_later_and_later),
        cmocka_unit_test(networks_are_counted_at_three_widths),
        cmocka_unit_test(a_user_is_counted_wherever_guesses_come_from),
        cmocka_unit_test(on_this_machine_only_the_user_is_counted),
        cmocka_unit_test(a_minute_and_a_day_pass),
        cmocka_unit_test(a_known_client_is_not_locked_out_by_others),
        cmocka_unit_test(it_is_forgotten_who_has_not_come_for_a_month),
        cmocka_unit_test(what_was_touched_longest_ago_makes_room),
        cmocka_unit_test(wrong_tokens_stop_a_network_for_a_minute),
        cmocka_unit_test(no_number_of_guessers_locks_out_who_has_the_token),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
