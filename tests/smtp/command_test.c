#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "smtp/command.h"

static enum smtp_command_got
read_in_two(const char *text, size_t len, size_t cut, struct slice *line,
            struct smtp_command_reader *r)
{
    struct slice first = {text, cut}, second = {text + cut, len - cut};
    enum smtp_command_got got;

    *r = (struct smtp_command_reader){0};
    if (cut > 0) {
        got = smtp_command_read(r, &first, line);
        if (got != SMTP_COMMAND_PART)
            return got;
        assert_int_equal(first.len, 0);
    }
    return smtp_command_read(r, &second, line);
}

static void
lines_end_in_crlf_wherever_they_are_cut(void **state)
{
    static const struct {
        const char *text;
        enum smtp_command_got got;
        const char *line;
    } cases[] = {
        {"\r\n", SMTP_COMMAND_WHOLE, ""},
        {"NOOP\r\n", SMTP_COMMAND_WHOLE, "NOOP"},
        {"NOOP x \r\n", SMTP_COMMAND_WHOLE, "NOOP x "},
        {"\n", SMTP_COMMAND_BARE, NULL},
        {"NOOP\n", SMTP_COMMAND_BARE, NULL},
        {"NO\rOP\r\n", SMTP_COMMAND_BARE, NULL},
        {"\rNOOP\r\n", SMTP_COMMAND_BARE, NULL},
        {"NOOP\r\r\n", SMTP_COMMAND_BARE, NULL},
        {"NOOP\r", SMTP_COMMAND_PART, NULL},
        {"NOOP", SMTP_COMMAND_PART, NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        size_t len = strlen(cases[i].text);

        for (size_t cut = 0; cut < len; cut++) {
            struct smtp_command_reader r;
            struct slice line;

            assert_int_equal(read_in_two(cases[i].text, len, cut, &line, &r),
                             cases[i].got);
            if (cases[i].line)
                assert_true(slice_is(line, cases[i].line));
        }
    }
}

static void
one_line_is_taken_and_the_rest_left(void **state)
{
    struct slice in = slice_of("RSET\r\nNOOP\r\nQU"), line;
    struct smtp_command_reader r = {0};

    (void)state;
    assert_int_equal(smtp_command_read(&r, &in, &line), SMTP_COMMAND_WHOLE);
    assert_true(slice_is(line, "RSET"));
    assert_int_equal(smtp_command_read(&r, &in, &line), SMTP_COMMAND_WHOLE);
    assert_true(slice_is(line, "NOOP"));
    assert_int_equal(smtp_command_read(&r, &in, &line), SMTP_COMMAND_PART);
    assert_int_equal(in.len, 0);
    in = slice_of("IT\r\n");
    assert_int_equal(smtp_command_read(&r, &in, &line), SMTP_COMMAND_WHOLE);
    assert_true(slice_is(line, "QUIT"));
}

static void
the_limit_counts_crlf(void **state)
{
    char text[SMTP_COMMAND_MAX + 1];
    struct smtp_command_reader r;
    struct slice line;

    (void)state;
    memset(text, 'x', sizeof(text));
    memcpy(text + SMTP_COMMAND_MAX - 2, "\r\n", 2);
    for (size_t cut = 0; cut < SMTP_COMMAND_MAX; cut += 7)
        assert_int_equal(read_in_two(text, SMTP_COMMAND_MAX, cut, &line, &r),
                         SMTP_COMMAND_WHOLE);
    assert_int_equal(line.len, SMTP_COMMAND_MAX - 2);
}

static void
a_line_beyond_the_limit_is_refused_unseen(void **state)
{
    char text[SMTP_COMMAND_MAX + 1];
    struct smtp_command_reader r;
    struct slice line;

    (void)state;
    memset(text, 'x', sizeof(text));
    memcpy(text + sizeof(text) - 2, "\r\n", 2);
    for (size_t cut = 0; cut < sizeof(text); cut += 7)
        assert_int_equal(read_in_two(text, sizeof(text), cut, &line, &r),
                         SMTP_COMMAND_LONG);
    assert_int_equal(
        read_in_two(text, SMTP_COMMAND_MAX, SMTP_COMMAND_MAX / 2, &line, &r),
        SMTP_COMMAND_PART);
}

static void
verb_and_arguments_are_told_apart(void **state)
{
    static const struct {
        const char *line, *verb, *args;
    } cases[] = {
        {"", "", ""},
        {"NOOP", "NOOP", ""},
        {"NOOP  ", "NOOP", ""},
        {"  NOOP", "", "NOOP"},
        {"MAIL FROM:<a@b> SIZE=1 ", "MAIL", "FROM:<a@b> SIZE=1"},
        {"MAIL  FROM:<>", "MAIL", "FROM:<>"},
        {"VRFY \xc3\xbc@x", "VRFY", "\xc3\xbc@x"},
        {"EHLO:x", "EHLO:x", ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct smtp_command c;

        assert_true(smtp_command_parse(slice_of(cases[i].line), &c));
        assert_true(slice_is(c.verb, cases[i].verb));
        assert_true(slice_is(c.args, cases[i].args));
    }
}

static void
control_characters_are_refused(void **state)
{
    struct smtp_command c;
    char line[] = "NOOP ?";

    (void)state;
    for (int octet = 0; octet < 256; octet++) {
        line[5] = (char)octet;
        assert_int_equal(smtp_command_parse((struct slice){line, 6}, &c),
                         octet >= ' ' && octet != 0x7f);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_end_in_crlf_wherever_they_are_cut),
        cmocka_unit_test(one_line_is_taken_and_the_rest_left),
        cmocka_unit_test(the_limit_counts_crlf),
        cmocka_unit_test(a_line_beyond_the_limit_is_refused_unseen),
        cmocka_unit_test(verb_and_arguments_are_told_apart),
        cmocka_unit_test(control_characters_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
