#include "relay/watch/event_filter.h"

#include "relay/base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const char sent[] =
    "{\"ts\":\"2026-11-23T14:04:05.123Z\",\"level\":\"info\",\"event\":"
    "\"delivery.sent\",\"mid\":\"000bfxr71n\",\"from\":\"<>\",\"to\":"
    "\"Bob@m\xC3\xBCnchen.example\"}";
static const char hashed[] =
    "{\"level\":\"warning\",\"event\":\"delivery.deferred\",\"from\":"
    "\"@a.example\",\"to\":\"3f1c09b2@b.example\"}";
static const char policy[] =
    "{\"level\":\"error\",\"event\":\"policy.failure\","
    "\"domain\":\"c.example\",\"n\":1}";

static void
a_filter_lets_through_what_it_names(void **state)
{
    static const struct {
        const char *name, *value, *line;
        bool wants;
    } rows[] = {
        {"event", "delivery.sent", sent, true},
        {"event", "delivery.*", sent, true},
        {"event", "*", sent, true},
        {"event", "delivery", sent, false},
        {"event", "delivery.sen", sent, false},
        {"event", "policy.*,delivery.sent", sent, true},
        {"event", "policy.*,drain", sent, false},
        {"event", ",", sent, false},
        {"id", "000BFXR71N", sent, false}, /* ids have no capitals */
        {"id", "000bfxr71n", sent, true},
        {"id", "000bfxr71p", sent, false},
        {"id", "000bfxr71n", policy, false},
        {"from", "<>", sent, true},
        {"from", "", sent, true},
        {"from", "a@a.example", sent, false},
        {"from", "@a.example", hashed, true},
        {"from", "x@a.example", hashed, false},
        {"to", "bob@M\xC3\xBCnchen.example", sent, true},
        {"to", "bob@example", hashed, false},
        {"to", "@xn--mnchen-3ya.example", sent, true},
        {"to", "@m\xC3\xBCnchen.example", sent, true},
        {"to", "@nchen.example", sent, false},
        {"to", "3f1c09b2@b.example", hashed, true},
        {"to", "@b.example", policy, false},
        {"domain", "m\xC3\xBCnchen.example", sent, true},
        {"domain", "B.Example.", hashed, true},
        {"domain", "a.example", hashed, false}, /* the sender's */
        {"domain", "c.example", policy, true},
        {"domain", "x.c.example", policy, false},
        {"level", "info", sent, true},
        {"level", "warning", sent, false},
        {"level", "warning", hashed, true},
        {"level", "warning", policy, true},
        {"level", "error", hashed, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct event_filter f scoped(event_filter_done) = {0};
        json_t *event = event_filter_read(slice_of(rows[i].line));
        struct err err;
        bool ok = event_filter_set(&f, rows[i].name, rows[i].value, &err);

        assert_non_null(event);
        if (rows[i].wants)
            assert_true(ok);
        if (ok && event_filter_wants(&f, event) != rows[i].wants)
            fail_msg("%s=%s: %s", rows[i].name, rows[i].value, rows[i].line);
        json_decref(event);
    }
}

static void
all_that_it_names_must_be_met(void **state)
{
    struct event_filter f scoped(event_filter_done) = {0};
    json_t *event = event_filter_read(slice_of(hashed));
    struct err err;

    (void)state;
    assert_true(event_filter_wants(&f, event));
    assert_true(event_filter_set(&f, "event", "delivery.*", &err));
    assert_true(event_filter_set(&f, "domain", "b.example", &err));
    assert_true(event_filter_wants(&f, event));
    assert_true(event_filter_set(&f, "from", "<>", &err));
    assert_false(event_filter_wants(&f, event));
    json_decref(event);
}

static void
what_means_nothing_is_refused(void **state)
{
    static const char *const rows[][2] = {
        {"event", ""},       {"event", "Delivery.sent"},
        {"event", "a b"},    {"event", "a\n"},
        {"domain", ""},      {"domain", "a..b"},
        {"domain", "a b.c"}, {"from", "a"},
        {"from", "@"},       {"from", "a@b@c"},
        {"to", ""},          {"to", "<>"},
        {"to", "@a..b"},     {"id", ""},
        {"id", "0"},         {"id", "000bfxr71u"},
        {"level", "debug"},  {"level", ""},
        {"mid", "1"},        {"level", "infos"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct event_filter f scoped(event_filter_done) = {0};
        struct err err = {0};

        if (event_filter_set(&f, rows[i][0], rows[i][1], &err))
            fail_msg("%s=%s", rows[i][0], rows[i][1]);
        assert_non_null(strstr(err.text, rows[i][0]));
    }
}

static void
too_long_a_list_is_refused(void **state)
{
    struct event_filter f scoped(event_filter_done) = {0};
    char list[EVENT_FILTER_EVENTS_MAX + 2] = "";
    struct err err;

    (void)state;
    memset(list, 'a', sizeof(list) - 1);
    assert_false(event_filter_set(&f, "event", list, &err));
    list[EVENT_FILTER_EVENTS_MAX] = '\0';
    assert_true(event_filter_set(&f, "event", list, &err));
}

static void
what_is_no_event_is_none(void **state)
{
    static const char *const rows[] = {
        "", "[]", "{}", "{\"event\":1}", "{\"event\":\"\"}", "\"event\"", "{"};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        assert_null(event_filter_read(slice_of(rows[i])));
    for (size_t i = 0; i < strlen(sent); i++)
        assert_null(event_filter_read((struct slice){sent, i}));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_filter_lets_through_what_it_names),
        cmocka_unit_test(all_that_it_names_must_be_met),
        cmocka_unit_test(what_means_nothing_is_refused),
        cmocka_unit_test(too_long_a_list_is_refused),
        cmocka_unit_test(what_is_no_event_is_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
