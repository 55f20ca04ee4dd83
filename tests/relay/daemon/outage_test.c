#include "relay/daemon/outage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static struct addr
at(const char *text)
{
    struct addr a;
    struct err err;

    assert_true(addr_parse_port(slice_of(text), 25, &a, &err));
    return a;
}

static void
note(struct outage *o, const char *text, bool is_connected, int64_t now)
{
    struct addr a = at(text);

    outage_note(o, &a, is_connected, now);
}

static bool
is_out(struct outage *o, const char *text, int64_t now)
{
    struct addr a = at(text);

    return outage_is_out(o, &a, now);
}

static void
an_address_that_failed_is_tried_last_for_a_while(void **state)
{
    struct outage *o scoped(outage_free) = outage_new();

    (void)state;
    assert_false(is_out(o, "192.0.2.1", 1));
    note(o, "192.0.2.1", false, 1);
    assert_true(is_out(o, "192.0.2.1", 2));
    assert_true(is_out(o, "192.0.2.1", OUTAGE_MS));
    assert_false(is_out(o, "192.0.2.2", 2));
    assert_false(is_out(o, "192.0.2.1:26", 2));
}

static void
then_one_tries_it_again_and_the_others_wait_for_that(void **state)
{
    struct outage *o scoped(outage_free) = outage_new();

    (void)state;
    note(o, "192.0.2.1", false, 1);
    assert_false(is_out(o, "192.0.2.1", OUTAGE_MS + 1));
    assert_true(is_out(o, "192.0.2.1", OUTAGE_MS + 2));
    note(o, "192.0.2.1", true, OUTAGE_MS + 3);
    assert_false(is_out(o, "192.0.2.1", OUTAGE_MS + 4));
    assert_false(is_out(o, "192.0.2.1", OUTAGE_MS + 5));
}

static void
a_family_that_leads_nowhere_is_tried_last_as_a_whole(void **state)
{
    struct outage *o scoped(outage_free) = outage_new();

    (void)state;
    note(o, "[2001:db8::1]:25", false, 1);
    note(o, "[2001:db8::2]:25", false, 2);
    note(o, "[2001:db8::2]:25", false, 3);
    assert_false(is_out(o, "[2001:db8::9]:25", 4));
    note(o, "[2001:db8::3]:25", false, 4);
    assert_true(is_out(o, "[2001:db8::9]:25", 5));
    assert_false(is_out(o, "192.0.2.1", 5));
    note(o, "[2001:db8::9]:25", true, 6);
    assert_false(is_out(o, "[2001:db8::8]:25", 7));
}

static void
hosts_that_are_down_here_and_there_are_no_broken_family(void **state)
{
    struct outage *o scoped(outage_free) = outage_new();

    (void)state;
    for (int i = 0; i < 10; i++) {
        char name[32];

        (void)snprintf(name, sizeof(name), "192.0.2.%d", 10 + i);
        note(o, name, false, i + 1);
        note(o, "192.0.2.1", true, i + 1);
    }
    assert_false(is_out(o, "192.0.2.99", 20));
}

static void
only_so_many_are_remembered(void **state)
{
    struct outage *o scoped(outage_free) = outage_new();

    (void)state;
    for (int i = 0; i <= OUTAGE_MAX; i++) {
        char name[32];

        (void)snprintf(name, sizeof(name), "10.1.%d.%d", i / 250, i % 250);
        note(o, name, false, 1);
    }
    note(o, "192.0.2.1", true, 2); /* the family works */
    assert_false(is_out(o, "10.1.0.0", 3));
    assert_true(is_out(o, "10.1.0.1", 3));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_that_failed_is_tried_last_for_a_while),
        cmocka_unit_test(then_one_tries_it_again_and_the_others_wait_for_that),
        cmocka_unit_test(a_family_that_leads_nowhere_is_tried_last_as_a_whole),
        cmocka_unit_test(
            hosts_that_are_down_here_and_there_are_no_broken_family),
        cmocka_unit_test(only_so_many_are_remembered),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
