#include "relay/base/text.h"

#include "relay/base/own.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void
knows_utf8(void **state)
{
    static const struct {
        const char *text;
        bool is_utf8;
    } cases[] = {
        {"", true},
        {"a", true},
        {"\x7f", true},
        {"\xc2\x80", true},
        {"\xdf\xbf", true},
        {"\xe0\xa0\x80", true},
        {"\xed\x9f\xbf", true},
        {"\xee\x80\x80", true},
        {"\xef\xbf\xbf", true},
        {"\xf0\x90\x80\x80", true},
        {"\xf4\x8f\xbf\xbf", true},
        {"\x80", false},
        {"\xbf", false},
        {"\xc0\x80", false},
        {"\xc1\xbf", false},
        {"\xe0\x9f\xbf", false},
        {"\xed\xa0\x80", false},
        {"\xed\xbf\xbf", false},
        {"\xf0\x8f\xbf\xbf", false},
        {"\xf4\x90\x80\x80", false},
        {"\xf5\x80\x80\x80", false},
        {"\xfe", false},
        {"\xff", false},
        {"\xc3", false},
        {"\xe2\x82", false},
        {"\xf0\x9f\x92", false},
        {"\xe2\x28\xa1", false},
        {"\xe2\x82\x28", false},
        {"\xf0\x9f\x28\xa9", false},
        {"\xf0\x9f\x92\x28", false},
        {"a\xff", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(text_is_utf8(slice_of(cases[i].text)),
                         cases[i].is_utf8);
    assert_true(text_is_utf8((struct slice){0}));
    assert_true(text_is_utf8((struct slice){"\0", 1}));
}

/* Each code there is, written by the plain rule and read back. */
static void
reads_every_character(void **state)
{
    (void)state;
    for (uint32_t code = 0x80; code <= 0x10FFFF; code++) {
        char c[4];
        size_t len = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
        uint32_t got = 0, rest = code;

        for (size_t i = len; --i > 0; rest >>= 6)
            c[i] = (char)(0x80 | (rest & 0x3F));
        c[0] = (char)(0xF00 >> len | rest);
        if (code >= 0xD800 && code <= 0xDFFF) {
            assert_int_equal(text_next((struct slice){c, len}, &got), 0);
            continue;
        }
        assert_int_equal(text_next((struct slice){c, len}, &got), len);
        assert_int_equal(got, code);
        assert_int_equal(text_next((struct slice){c, len - 1}, &got), 0);
    }
}

static void
check_clean(struct slice in, size_t max, const char *want)
{
    scoped(buf_free) struct buf out = {0};

    buf_add_text(&out, "=");
    text_clean(in, max, &out);
    assert_string_equal(buf_text(&out) + 1, want);
    assert_int_equal(out.len, strlen(want) + 1);
}

static void
cleans(void **state)
{
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"", ""},
        {"plain ~!", "plain ~!"},
        {"gr\xc3\xbc\xc3\x9f \xf0\x9f\x92\xa9",
         "gr\xc3\xbc\xc3\x9f \xf0\x9f\x92\xa9"},
        {"a\r\nb\tc\x1b[2J\x7f", "a??b?c?[2J?"},
        {"\xff\xfe\xc3", "???"},
        {"\xed\xa0\x80", "???"},
        {"a\xc2\x9b"
         "b",
         "a?b"},
        {"a\xe2\x80\xae"
         "b\xe2\x80\xa8\xef\xbb\xbf",
         "a?b??"},
        {"\xe2\x81\xa6\xd8\x9c\xef\xbf\xbe\xf3\xa0\x80\x81", "????"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        check_clean(slice_of(cases[i].in), 1000, cases[i].out);
    check_clean((struct slice){"a\0b", 3}, 1000, "a?b");
}

static void
never_cuts_a_character(void **state)
{
    struct slice in = slice_of("a\xc3\xbc\xe2\x82\xac");

    (void)state;
    check_clean(in, 0, "");
    check_clean(in, 1, "a");
    check_clean(in, 2, "a");
    check_clean(in, 3, "a\xc3\xbc");
    check_clean(in, 5, "a\xc3\xbc");
    check_clean(in, 6, "a\xc3\xbc\xe2\x82\xac");
    check_clean(slice_of("\n\n\n"), 2, "??");
}

static void
writes_json_strings(void **state)
{
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"", "\"\""},
        {"a/b", "\"a/b\""},
        {"\"\\", "\"\\\"\\\\\""},
        {"\n\r\t\b", "\"\\n\\r\\t\\u0008\""},
        {"\x1f\x7f", "\"\\u001f\\u007f\""},
        {"\xc3\xbc\xf0\x9f\x92\xa9", "\"\xc3\xbc\xf0\x9f\x92\xa9\""},
        {"\xff"
         "a\xc3",
         "\"\xef\xbf\xbd"
         "a\xef\xbf\xbd\""},
        {"\xe2\x80\xa8\xe2\x80\xae", "\"\\u2028\\u202e\""},
        {"\xf3\xa0\x80\x81", "\"\\udb40\\udc01\""},
        {"\xf4\x8f\xbf\xbf", "\"\\udbff\\udfff\""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        scoped(buf_free) struct buf out = {0};

        text_json(slice_of(cases[i].in), &out);
        assert_string_equal(buf_text(&out), cases[i].out);
    }
    {
        scoped(buf_free) struct buf out = {0};

        text_json((struct slice){"a\0b", 3}, &out);
        assert_string_equal(buf_text(&out), "\"a\\u0000b\"");
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(knows_utf8),
        cmocka_unit_test(reads_every_character),
        cmocka_unit_test(cleans),
        cmocka_unit_test(never_cuts_a_character),
        cmocka_unit_test(writes_json_strings),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
