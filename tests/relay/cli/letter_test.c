#include "relay/cli/letter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static void
expect_lines(const char *in, bool dots, const char *lines)
{
    struct buf got = {0};

    cli_letter_lines(slice_of(in), dots, &got);
    assert_string_equal(buf_text(&got), lines);
    buf_free(&got);
}

static void
every_line_end_becomes_crlf(void **state)
{
    static const char *const cases[][2] = {
        {"", ""},
        {"a", "a\r\n"},
        {"a\n", "a\r\n"},
        {"a\r\n", "a\r\n"},
        {"a\r\r\n", "a\r\n"},
        {"a\rb", "a\r\nb\r\n"},
        {"a\r\rb", "a\r\n\r\nb\r\n"},
        {"\n\n", "\r\n\r\n"},
        {"a\r", "a\r\n"},
        {"a\nb\r\nc", "a\r\nb\r\nc\r\n"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        expect_lines(cases[i][0], true, cases[i][1]);
}

static void
a_dot_ends_the_message_unless_dots_count(void **state)
{
    (void)state;
    expect_lines("a\n.\nb\n", false, "a\r\n");
    expect_lines("a\n.\nb\n", true, "a\r\n.\r\nb\r\n");
    expect_lines("..\n. \n.x\n", false, "..\r\n. \r\n.x\r\n");
    expect_lines(".", false, "");
}

/* --- fields --- */

static void
add(void *ctx, const char *address)
{
    buf_printf(ctx, "%s|", address);
}

static void
expect(const char *in, bool take, const char *name, const char *told,
       const char *out)
{
    struct cli_letter_wish wish = {
        .take_recipients = take, .from = "me@here.example", .name = name};
    struct buf got = {0}, addresses = {0};
    struct err err;

    if (!cli_letter_make(slice_of(in), &wish, add, &addresses, &got, &err))
        fail_msg("%s: %s", in, err.text);
    assert_string_equal(buf_text(&got), out);
    assert_string_equal(buf_text(&addresses), told);
    buf_free(&got);
    buf_free(&addresses);
}

static void
recipients_are_taken_and_bcc_is_dropped(void **state)
{
    (void)state;
    expect("From: f@x.example\r\nTo: a@x.example,\r\n b@x.example\r\n"
           "bcc: c@x.example,\r\n\td@x.example\r\nSubject: s\r\nCC: e@x.example"
           "\r\n\r\nBcc: in the body\r\n",
           true, NULL,
           "a@x.example|b@x.example|c@x.example|d@x.example|"
           "e@x.example|",
           "From: f@x.example\r\nTo: a@x.example,\r\n b@x.example\r\n"
           "Subject: s\r\nCC: e@x.example\r\n\r\nBcc: in the body\r\n");
}

static void
without_t_the_header_is_left_alone(void **state)
{
    (void)state;
    expect("From: f@x.example\r\nBcc: c@x.example\r\n\r\n", false, NULL, "",
           "From: f@x.example\r\nBcc: c@x.example\r\n\r\n");
}

static void
resent_fields_stand_for_the_others(void **state)
{
    (void)state;
    expect("From: f@x.example\r\nResent-To: r@x.example\r\nTo: a@x.example\r\n"
           "Bcc: c@x.example\r\nResent-Bcc: s@x.example\r\n\r\n",
           true, NULL, "r@x.example|s@x.example|",
           "From: f@x.example\r\nResent-To: r@x.example\r\nTo: a@x.example\r\n"
           "\r\n");
}

static void
a_missing_from_is_added(void **state)
{
    (void)state;
    expect("Subject: s\r\n\r\nb\r\n", false, NULL, "",
           "From: me@here.example\r\nSubject: s\r\n\r\nb\r\n");
    expect("Subject: s\r\n\r\nb\r\n", false, "A \"B\" \r\nC", "",
           "From: \"A \\\"B\\\" C\" <me@here.example>\r\nSubject: s\r\n\r\n"
           "b\r\n");
}

static void
what_is_no_field_begins_the_body(void **state)
{
    static const char from[] = "From: me@here.example\r\n";
    static const char *const cases[][2] = {
        {"", "\r\n"},
        {"\r\n", "\r\n"},
        {"\r\nbody\r\n", "\r\nbody\r\n"},
        {"hello world\r\n", "\r\nhello world\r\n"},
        {": x\r\n", "\r\n: x\r\n"},
        {"X: 1\r\nno field\r\n", "X: 1\r\n\r\nno field\r\n"},
        {" folded\r\n", "\r\n folded\r\n"},
        {"From somebody Mon Nov 23\r\nX: 1\r\n\r\n", "X: 1\r\n\r\n"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char whole[128];

        (void)snprintf(whole, sizeof(whole), "%s%s", from, cases[i][1]);
        expect(cases[i][0], false, NULL, "", whole);
    }
}

static void
a_list_that_cant_be_read_is_named(void **state)
{
    static const char *const fields[] = {
        "To: a@x.example, b c@x.example\r\n", "Cc: <a@x.example\r\n",
        "Bcc: a@@x.example\r\n", "To: \"a@x.example\r\n"};
    struct cli_letter_wish wish = {.take_recipients = true, .from = "m@x.e"};

    (void)state;
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        struct buf got = {0}, told = {0};
        struct err err;

        assert_false(cli_letter_make(slice_of(fields[i]), &wish, add, &told,
                                     &got, &err));
        assert_non_null(strstr(err.text, "no list of addresses"));
        buf_free(&got);
        buf_free(&told);
    }
}

static void
a_letter_may_end_anywhere(void **state)
{
    static const char text[] =
        "From: f@x.example\r\nTo: a@x.example,\r\n b@x.example\r\nBcc : "
        "c@x.example\r\n\r\nbody\r\n";
    struct cli_letter_wish wish = {.take_recipients = true, .from = "m@x.e"};

    (void)state;
    for (size_t n = 0; n < sizeof(text); n++) {
        struct buf got = {0}, told = {0};
        struct err err;

        if (!cli_letter_make((struct slice){text, n}, &wish, add, &told, &got,
                             &err))
            assert_int_equal(err.kind, ERR_INPUT);
        assert_null(memmem(got.p, got.len, "\nBcc :", 6));
        buf_free(&got);
        buf_free(&told);
    }
}

static void
eight_bits_are_seen(void **state)
{
    (void)state;
    assert_false(cli_letter_has_8bit(slice_of("plain\r\n")));
    assert_true(cli_letter_has_8bit(slice_of("na\xc3\xafve")));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_line_end_becomes_crlf),
        cmocka_unit_test(a_dot_ends_the_message_unless_dots_count),
        cmocka_unit_test(recipients_are_taken_and_bcc_is_dropped),
        cmocka_unit_test(without_t_the_header_is_left_alone),
        cmocka_unit_test(resent_fields_stand_for_the_others),
        cmocka_unit_test(a_missing_from_is_added),
        cmocka_unit_test(what_is_no_field_begins_the_body),
        cmocka_unit_test(a_list_that_cant_be_read_is_named),
        cmocka_unit_test(a_letter_may_end_anywhere),
        cmocka_unit_test(eight_bits_are_seen),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
