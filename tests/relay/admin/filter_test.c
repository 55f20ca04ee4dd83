#include "relay/admin/filter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { NOW = 1700000000 };

static bool
set(struct admin_filter *f, const char *name, const char *value)
{
    struct err err;

    return admin_filter_set(f, name, value, NOW, &err);
}

static void
every_name_sets_its_part(void **state)
{
    struct admin_filter f = {0};

    (void)state;
    assert_true(admin_filter_is_empty(&f));
    assert_true(set(&f, "id", "1jn99zaw80"));
    assert_true(set(&f, "domain",
                    "B\xc3\xbc"
                    "cher.Example."));
    assert_true(set(&f, "from", "a@x.example"));
    assert_true(set(&f, "to", "@y.example"));
    assert_true(set(&f, "state", "held"));
    assert_true(set(&f, "older_than", "1h"));
    assert_true(f.queue.id != 0);
    assert_string_equal(f.queue.domain, "xn--bcher-kva.example");
    assert_string_equal(f.queue.from, "a@x.example");
    assert_string_equal(f.queue.to, "@y.example");
    assert_int_equal(f.queue.state, QUEUE_STATE_HELD);
    assert_int_equal(f.queue.older_than_ms, NOW - 3600000);
    assert_false(admin_filter_is_empty(&f));
    admin_filter_done(&f);
    assert_true(admin_filter_is_empty(&f));
}

static void
a_value_may_be_set_anew(void **state)
{
    struct admin_filter f = {0};

    (void)state;
    assert_true(set(&f, "from", "a@x.example") && set(&f, "from", "<>"));
    assert_string_equal(f.queue.from, "");
    assert_true(set(&f, "domain", "a.example") &&
                set(&f, "domain", "b.example"));
    assert_string_equal(f.queue.domain, "b.example");
    assert_true(set(&f, "domain", "[192.0.2.1]"));
    assert_string_equal(f.queue.domain, "[192.0.2.1]");
    admin_filter_done(&f);
}

static void
what_is_no_value_is_refused(void **state)
{
    static const char *const bad[][2] = {
        {"id", ""},
        {"id", "xyz"},
        {"id", "1jn99zaw8u"},
        {"domain", ""},
        {"domain", "a b"},
        {"domain", "-"},
        {"from", "a"},
        {"from", "@"},
        {"to", ""},
        {"to", "<>"},
        {"to", "a@x.example\n"},
        {"state", "lost"},
        {"state", ""},
        {"older_than", "1"},
        {"older_than", ""},
        {"older-than", "1h"},
        {"", ""},
        {"all", "true"},
    };
    struct admin_filter f = {0};

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (set(&f, bad[i][0], bad[i][1]))
            fail_msg("%s=%s", bad[i][0], bad[i][1]);
    assert_true(admin_filter_is_empty(&f));
    admin_filter_done(&f);
}

static void
a_span_longer_than_time_is_the_beginning(void **state)
{
    struct admin_filter f = {0};

    (void)state;
    assert_true(set(&f, "older_than", "9999d"));
    assert_int_equal(f.queue.older_than_ms, 1);
}

static void
states_are_named_as_they_are_asked_for(void **state)
{
    (void)state;
    for (int s = QUEUE_STATE_ANY; s <= QUEUE_STATE_ACTIVE; s++) {
        struct admin_filter f = {0};

        assert_true(set(&f, "state", admin_state_name((enum queue_state)s)));
        assert_int_equal(f.queue.state, s);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_name_sets_its_part),
        cmocka_unit_test(a_value_may_be_set_anew),
        cmocka_unit_test(what_is_no_value_is_refused),
        cmocka_unit_test(a_span_longer_than_time_is_the_beginning),
        cmocka_unit_test(states_are_named_as_they_are_asked_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
