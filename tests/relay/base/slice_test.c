#include "relay/base/slice.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void
compares(void **state)
{
    (void)state;
    assert_true(slice_is(slice_of("abc"), "abc"));
    assert_false(slice_is(slice_of("abc"), "abC"));
    assert_false(slice_is(slice_of("abc"), "ab"));
    assert_false(slice_is(slice_of("ab"), "abc"));
    assert_true(slice_is((struct slice){0}, ""));
    assert_false(slice_is((struct slice){0}, "a"));
    assert_false(slice_is((struct slice){"a\0b", 3}, "a"));
    assert_true(slice_is_nocase(slice_of("aBc"), "AbC"));
    assert_false(slice_is_nocase(slice_of("aBcd"), "AbC"));
    assert_false(slice_is_nocase(slice_of("[ab"), "{ab"));
    assert_true(slice_starts_nocase(slice_of("MAIL FROM:<>"), "mail from:"));
    assert_true(slice_starts_nocase(slice_of("x"), ""));
    assert_true(slice_starts_nocase((struct slice){0}, ""));
    assert_false(slice_starts_nocase(slice_of("MAI"), "mail"));
    /* Not the characters behind its end. */
    assert_false(slice_starts_nocase((struct slice){"MAIL", 3}, "mail"));
}

static void
takes_parts(void **state)
{
    struct slice s = slice_of("abc");

    (void)state;
    assert_true(slice_is(slice_from(s, 0), "abc"));
    assert_true(slice_is(slice_from(s, 2), "c"));
    assert_true(slice_is(slice_from(s, 3), ""));
    assert_true(slice_is(slice_from(s, SIZE_MAX), ""));
    assert_true(slice_is(slice_first(s, 0), ""));
    assert_true(slice_is(slice_first(s, 2), "ab"));
    assert_true(slice_is(slice_first(s, SIZE_MAX), "abc"));
}

static void
trims(void **state)
{
    (void)state;
    assert_true(slice_is(slice_trim(slice_of(" \ta b\t ")), "a b"));
    assert_true(slice_is(slice_trim(slice_of(" \t ")), ""));
    assert_true(slice_is(slice_trim(slice_of("")), ""));
    assert_true(slice_is(slice_trim((struct slice){0}), ""));
    assert_true(slice_is(slice_trim(slice_of("\r a\n")), "\r a\n"));
}

static void
cuts(void **state)
{
    struct slice rest = slice_of("a,,b"), nothing = {0};

    (void)state;
    assert_true(slice_is(slice_cut(&rest, ','), "a"));
    assert_true(slice_is(slice_cut(&rest, ','), ""));
    assert_true(slice_is(rest, "b"));
    assert_true(slice_is(slice_cut(&rest, ','), "b"));
    assert_int_equal(rest.len, 0);
    assert_true(slice_is(slice_cut(&rest, ','), ""));
    assert_true(slice_is(slice_cut(&nothing, ','), ""));
    rest = slice_of("a,");
    assert_true(slice_is(slice_cut(&rest, ','), "a"));
    assert_int_equal(rest.len, 0);
    rest = (struct slice){"a\0b", 3};
    assert_true(slice_is(slice_cut(&rest, '\0'), "a"));
    assert_true(slice_is(rest, "b"));
}

static void
reads_numbers(void **state)
{
    static const struct {
        const char *text;
        unsigned long long max, value;
        bool ok;
    } cases[] = {
        {"0", 0, 0, true},
        {"007", 9, 7, true},
        {"255", 255, 255, true},
        {"18446744073709551615", UINT64_MAX, UINT64_MAX, true},
        {"256", 255, 0, false},
        {"18446744073709551616", UINT64_MAX, 0, false},
        {"184467440737095516150", UINT64_MAX, 0, false},
        {"99999999999999999999", UINT64_MAX, 0, false},
        {"", 9, 0, false},
        {"-1", 9, 0, false},
        {"+1", 9, 0, false},
        {" 1", 9, 0, false},
        {"1 ", 9, 0, false},
        {"1a", 9, 0, false},
        {"0x1", 9, 0, false},
        {"1.0", 9, 0, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        unsigned long long value = 0;

        if (slice_number(slice_of(cases[i].text), cases[i].max, &value) !=
            cases[i].ok)
            fail_msg("%s", cases[i].text);
        if (cases[i].ok)
            assert_true(value == cases[i].value);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(compares),      cmocka_unit_test(takes_parts),
        cmocka_unit_test(trims),         cmocka_unit_test(cuts),
        cmocka_unit_test(reads_numbers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
