#include "relay/cli/event_text.h"

#include "relay/base/own.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static const int64_t now = 1795442645123; /* 2026-11-23T14:04:05.123Z */

static int
be_in_utc(void **state)
{
    (void)state;
    return setenv("TZ", "UTC", 1);
}

static void
a_line_is_for_people_and_printable(void **state)
{
    static const struct {
        const char *json, *text;
    } rows[] = {
        {"{\"ts\":\"2026-11-23T14:04:05.123Z\",\"level\":\"info\",\"event\":"
         "\"delivery.sent\",\"mid\":\"1\",\"to\":\"a@b.example\",\"reply\":"
         "\"250 ok\",\"n\":-5,\"tls\":true}",
         "14:04:05 delivery.sent mid=1 to=a@b.example reply=\"250 ok\" n=-5 "
         "tls=true\n"},
        {"{\"ts\":\"2025-11-23T14:04:05.123Z\",\"event\":\"x\"}",
         "2025-11-23 14:04:05 x\n"},
        {"{\"event\":\"missed\",\"count\":7}", "14:04:05 missed count=7\n"},
        {"{\"event\":\"missed\",\"count\":null}",
         "14:04:05 missed count=unknown\n"},
        {"{\"event\":\"x\",\"a\":\"\",\"b\":\"\\\"\\\\\",\"c\":\"a=b\"}",
         "14:04:05 x a=\"\" b=\"\\\"\\\\\" c=\"a=b\"\n"},
        {"{\"event\":\"\\u001b[31m\",\"a\\u0007\":\"\\u009b\\u202e\\r\\n\"}",
         "14:04:05 ?[31m a?=????\n"},
        {"{\"event\":\"x\",\"o\":{},\"l\":[1]}", "14:04:05 x o=? l=?\n"},
        {"{\"event\":\"x\",\"delays\":{\"queue\":12,\"d\\u0007\":-3}}",
         "14:04:05 x delays=queue:12,d?:-3\n"},
        {"no JSON \x1b[2J", "no JSON ?[2J\n"},
        {"", "\n"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct buf out scoped(buf_free) = {0};

        cli_event_text(slice_of(rows[i].json), now, &out);
        assert_string_equal(buf_text(&out), rows[i].text);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_is_for_people_and_printable),
    };

    return cmocka_run_group_tests(tests, be_in_utc, NULL);
}
