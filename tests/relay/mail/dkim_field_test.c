#include "relay/mail/dkim_inside.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void
check_relaxed(const char *name, const char *value, const char *want)
{
    scoped(buf_free) struct buf out = {0};

    mail_dkim_field_relaxed(name, slice_of(value), &out);
    assert_string_equal(buf_text(&out), want);
}

/* RFC 6376 sections 3.4.2 and 3.4.5 */
static void
fields_are_relaxed_as_the_standard_says(void **state)
{
    static const struct {
        const char *name, *value, *want;
    } rows[] = {
        {"A", " X\r\n", "a:X"},
        {"B ", " Y\t\r\n\tZ  \r\n", "b :Y Z"},
        {"SUBJect", "AbC\r\n", "subject:AbC"},
        {"S", " \t a \t\t b  c\t", "s:a b c"},
        {"S", "\r\n a\r\n  b\r\n", "s:a b"},
        {"S", "", "s:"},
        {"S", "  \r\n", "s:"},
        {"S", " \r\n \r\n\t", "s:"},
        {"S", "a\r\n", "s:a"},
        {"S", " \xc3\xa4  \xff\r\n", "s:\xc3\xa4 \xff"},
        {"S", "a:b : c", "s:a:b : c"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        check_relaxed(rows[i].name, rows[i].value, rows[i].want);
}

static void
fields_are_cut_with_their_folded_lines(void **state)
{
    struct slice rest = slice_of("A: 1\r\nB \t:2\r\n\t3\r\n 4\r\nnone\r\nC:\r\n"
                                 "\r\nD: 5\r\n");
    static const struct {
        const char *name, *value;
    } want[] = {{"A", " 1\r\n"},
                {"B", "2\r\n\t3\r\n 4\r\n"},
                {"none\r\n", ""},
                {"C", "\r\n"}};
    struct mail_dkim_field field;

    (void)state;
    for (size_t i = 0; i < sizeof(want) / sizeof(*want); i++) {
        assert_true(mail_dkim_field_cut(&rest, &field));
        assert_true(slice_is(field.name, want[i].name));
        assert_true(slice_is(field.value, want[i].value));
    }
    assert_false(mail_dkim_field_cut(&rest, &field));
    assert_false(mail_dkim_field_cut(&rest, &field));
}

static void
a_section_cut_off_anywhere_ends_in_a_field(void **state)
{
    static const char text[] = "A: 1\r\nB:2\r\n\t3\r\nC\r\n\r\n";

    (void)state;
    for (size_t len = 0; len < sizeof(text); len++) {
        scoped(buf_free) struct buf copy = {0};
        struct mail_dkim_field field;
        struct slice rest;
        size_t sum = 0;

        buf_add(&copy, (struct slice){text, len});
        rest = buf_slice(&copy);
        while (mail_dkim_field_cut(&rest, &field))
            sum++;
        assert_true(sum <= 3);
        assert_true(rest.len <= 2);
    }
}

/* RFC 6376 section 3.2 */
static void
a_tag_is_found_whatever_stands_around_it(void **state)
{
    static const struct {
        const char *list, *want; /* NULL: none */
    } rows[] = {
        {"d=a.example", "a.example"},
        {" v=1;\r\n d = a.example ;s=x", "a.example"},
        {"v=1;d=", ""},
        {"v=1;d", ""},
        {"d=a=b;", "a=b"},
        {"d=one;d=two", "one"},
        {"xd=a;D=b;dd=c", NULL},
        {"", NULL},
        {";;;", NULL},
        {"v=1 d=a", NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct slice value;
        bool found = mail_dkim_tag(slice_of(rows[i].list), "d", &value);

        assert_int_equal(found, rows[i].want != NULL);
        if (found)
            assert_true(slice_is(value, rows[i].want));
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_are_relaxed_as_the_standard_says),
        cmocka_unit_test(fields_are_cut_with_their_folded_lines),
        cmocka_unit_test(a_section_cut_off_anywhere_ends_in_a_field),
        cmocka_unit_test(a_tag_is_found_whatever_stands_around_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
