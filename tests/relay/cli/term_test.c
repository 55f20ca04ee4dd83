#include "relay/cli/term.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

static void
spans_have_one_unit_or_two(void **state)
{
    static const struct {
        int64_t s;
        const char *text;
    } cases[] = {
        {-5, "0s"},    {0, "0s"},       {59, "59s"},    {60, "1m"},
        {3599, "59m"}, {3600, "1h"},    {3660, "1h1m"}, {86399, "23h59m"},
        {86400, "1d"}, {864000, "10d"},
    };
    char text[CLI_TERM_TEXT];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_string_equal(cli_term_span(cases[i].s * 1000, text),
                            cases[i].text);
    (void)cli_term_span(INT64_MAX, text);
}

static void
sizes_have_a_unit_when_large(void **state)
{
    static const struct {
        uint64_t octets;
        const char *text;
    } cases[] = {
        {0, "0"},          {1023, "1023"},       {1024, "1.0K"},
        {1536, "1.5K"},    {10 * 1024, "10K"},   {1048575, "1.0M"},
        {52428800, "50M"}, {1073741824, "1.0G"},
    };
    char text[CLI_TERM_TEXT];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_string_equal(cli_term_size(cases[i].octets, text),
                            cases[i].text);
    (void)cli_term_size(UINT64_MAX, text);
}

static void
times_are_read_back(void **state)
{
    (void)state;
    assert_int_equal(cli_time_parse("1970-01-01T00:00:01.500Z"), 1500);
    assert_int_equal(cli_time_parse("2026-11-23T14:04:05.123Z"), 1795442645123);
    assert_int_equal(cli_time_parse("2026-11-23T14:04:05Z"), 1795442645000);
}

static void
what_is_no_time_is_none(void **state)
{
    static const char *const bad[] = {
        "",
        "now",
        "2026-11-23",
        "2026-11-23T14:04:05",
        "2026-11-23T14:04:05.123",
        "2026-11-23T14:04:05.123+01:00",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(cli_time_parse(bad[i]), 0);
}

static void
the_date_is_left_out_today(void **state)
{
    char text[CLI_TERM_TEXT];
    int64_t at = cli_time_parse("2026-11-23T14:04:05Z");

    (void)state;
    (void)setenv("TZ", "UTC", 1);
    tzset();
    assert_string_equal(cli_term_time(at, at + 60000, text), "14:04:05");
    assert_string_equal(cli_term_time(at, at + 86400000, text),
                        "2026-11-23 14:04:05");
}

static void
a_pipe_gets_no_colour(void **state)
{
    (void)state;
    assert_string_equal(cli_term_paint(CLI_RED), "");
}

static void
members_that_are_missing_are_empty(void **state)
{
    (void)state;
    assert_string_equal(cli_text(NULL, "x"), "");
    assert_int_equal(cli_number(NULL, "x"), 0);
    assert_int_equal(cli_time(NULL, "x"), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spans_have_one_unit_or_two),
        cmocka_unit_test(sizes_have_a_unit_when_large),
        cmocka_unit_test(times_are_read_back),
        cmocka_unit_test(what_is_no_time_is_none),
        cmocka_unit_test(the_date_is_left_out_today),
        cmocka_unit_test(a_pipe_gets_no_colour),
        cmocka_unit_test(members_that_are_missing_are_empty),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
