#include "smtp/reply.h"

#include "relay/base/buf.h"
#include "relay/base/own.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static const struct {
    const char *bytes;
    enum smtp_reply_got got;
    int code;
    const char *text;
} cases[] = {
    {"250 ok\r\n", SMTP_REPLY_WHOLE, 250, "ok"},
    {"250 \r\n", SMTP_REPLY_WHOLE, 250, ""},
    {"250\r\n", SMTP_REPLY_WHOLE, 250, ""}, /* RFC 5321 section 4.2 */
    {"299 x\r\n", SMTP_REPLY_WHOLE, 299, "x"},
    {"590 x\r\n", SMTP_REPLY_WHOLE, 590, "x"},
    {"354  two\r\n", SMTP_REPLY_WHOLE, 354, " two"},
    {"250--\r\n250 b\r\n", SMTP_REPLY_WHOLE, 250, "-\nb"},
    {"250-a\r\n250 b\r\n", SMTP_REPLY_WHOLE, 250, "a\nb"},
    {"250-\r\n250 \r\n", SMTP_REPLY_WHOLE, 250, "\n"},
    {"250-a\r\n250\r\n", SMTP_REPLY_WHOLE, 250, "a\n"},
    {"250 \x1b[2J\x9b\t\r\n", SMTP_REPLY_WHOLE, 250, "\x1b[2J\x9b\t"},
    {"250 5.1.1 x\r\n", SMTP_REPLY_WHOLE, 250, "5.1.1 x"},

    {"", SMTP_REPLY_PART, 0, NULL},
    {"2", SMTP_REPLY_PART, 0, NULL},
    {"25", SMTP_REPLY_PART, 0, NULL},
    {"250 o", SMTP_REPLY_PART, 0, NULL},
    {"250 ok\r", SMTP_REPLY_PART, 0, NULL},
    {"250-a\r\n250-b\r\n", SMTP_REPLY_PART, 0, NULL},

    {"25\r\n", SMTP_REPLY_BAD, 0, NULL},
    {"2\r\n", SMTP_REPLY_BAD, 0, NULL},
    {"\r\n", SMTP_REPLY_BAD, 0, NULL},
    {"250\n", SMTP_REPLY_BAD, 0, NULL},
    {"250 ok\n", SMTP_REPLY_BAD, 0, NULL}, /* RFC 5321 section 2.3.8 */
    {"250 o\rk\r\n", SMTP_REPLY_BAD, 0, NULL},
    {"250 ok\r\r\n", SMTP_REPLY_BAD, 0, NULL},
    {"250 a\nb\r\n", SMTP_REPLY_BAD, 0, NULL},
    {"250-a\r\n550 b\r\n", SMTP_REPLY_BAD, 0, NULL}, /* the code changes */
    {"250-a\r\nb\r\n", SMTP_REPLY_BAD, 0, NULL},
    {"2500 x\r\n", SMTP_REPLY_BAD, 0, NULL},
    {"abc\r\n", SMTP_REPLY_BAD, 0, NULL},
    {" 250 x\r\n", SMTP_REPLY_BAD, 0, NULL},
    {"+250 x\r\n", SMTP_REPLY_BAD, 0, NULL},
    {"-50 x\r\n", SMTP_REPLY_BAD, 0, NULL},
    {"250_x\r\n", SMTP_REPLY_BAD, 0, NULL},
    {"250\tx\r\n", SMTP_REPLY_BAD, 0, NULL},
    {"25x no\r\n", SMTP_REPLY_BAD, 0, NULL},
    {"150 x\r\n", SMTP_REPLY_BAD, 0, NULL},
    {"199 no\r\n", SMTP_REPLY_BAD, 0, NULL},
    {"600 x\r\n", SMTP_REPLY_BAD, 0, NULL},
    {"999 x\r\n", SMTP_REPLY_BAD, 0, NULL},
    {"000 x\r\n", SMTP_REPLY_BAD, 0, NULL},
    {"HTTP/1.1 400 Bad\r\n", SMTP_REPLY_BAD, 0, NULL},
    {"SSH-2.0-x\r\n", SMTP_REPLY_BAD, 0, NULL},
    {"\x16\x03\x01", SMTP_REPLY_BAD, 0,
     NULL}, /* at once: no line to wait for */
    {"H", SMTP_REPLY_BAD, 0, NULL},
};

enum { CASES = sizeof(cases) / sizeof(cases[0]) };

static void
read_cut(size_t i, size_t cut)
{
    size_t len = strlen(cases[i].bytes);
    struct smtp_reply_reader r = {0};
    struct slice head = {cases[i].bytes, cut};
    struct slice tail = {cases[i].bytes + cut, len - cut};
    enum smtp_reply_got got = smtp_reply_read(&r, &head);

    if (got == SMTP_REPLY_PART)
        got = smtp_reply_read(&r, &tail);
    assert_int_equal(got, cases[i].got);
    if (got != SMTP_REPLY_WHOLE)
        return;
    assert_int_equal(tail.len, 0);
    assert_int_equal(r.reply.code, cases[i].code);
    assert_string_equal(r.reply.text, cases[i].text);
    assert_int_equal(r.reply.len, strlen(cases[i].text));
}

static void
reads_the_same_however_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < CASES; i++)
        for (size_t cut = 0; cut <= strlen(cases[i].bytes); cut++)
            read_cut(i, cut);
}

static void
leaves_the_next_reply_alone(void **state)
{
    struct smtp_reply_reader r = {0};
    struct slice in = slice_of("250-one\r\n250 more\r\n354 two\r\n");

    (void)state;
    assert_int_equal(smtp_reply_read(&r, &in), SMTP_REPLY_WHOLE);
    assert_string_equal(r.reply.text, "one\nmore");
    assert_string_equal(in.p, "354 two\r\n");
    assert_int_equal(smtp_reply_read(&r, &in), SMTP_REPLY_WHOLE);
    assert_int_equal(r.reply.code, 354);
    assert_string_equal(r.reply.text, "two");
    assert_int_equal(smtp_reply_read(&r, &in), SMTP_REPLY_PART);
}

static void
keeps_a_nul_as_it_came(void **state)
{
    struct smtp_reply_reader r = {0};
    struct slice in = {"250 a\0b\r\n", 9};

    (void)state;
    assert_int_equal(smtp_reply_read(&r, &in), SMTP_REPLY_WHOLE);
    assert_int_equal(r.reply.len, 3);
    assert_memory_equal(r.reply.text, "a\0b", 4);
}

static void
add_line(struct buf *b, char mark, size_t len)
{
    buf_printf(b, "250%c", mark);
    memset(buf_room(b, len), 'x', len);
    b->len += len;
    buf_add_text(b, "\r\n");
}

static enum smtp_reply_got
read_lines(size_t count, size_t len, struct smtp_reply_reader *r)
{
    scoped(buf_free) struct buf b = {0};
    struct slice in;

    for (size_t i = 0; i < count; i++)
        add_line(&b, i + 1 < count ? '-' : ' ', len);
    in = buf_slice(&b);
    return smtp_reply_read(r, &in);
}

static void
a_line_has_its_limit(void **state)
{
    struct smtp_reply_reader r = {0}, again = {0};

    (void)state;
    assert_int_equal(read_lines(1, SMTP_REPLY_LINE_MAX - 6, &r),
                     SMTP_REPLY_WHOLE);
    assert_int_equal(read_lines(1, SMTP_REPLY_LINE_MAX - 5, &again),
                     SMTP_REPLY_BAD);
}

static void
lines_have_their_limit(void **state)
{
    struct smtp_reply_reader r = {0}, again = {0};

    (void)state;
    assert_int_equal(read_lines(SMTP_REPLY_LINES_MAX, 1, &r), SMTP_REPLY_WHOLE);
    assert_int_equal(read_lines(SMTP_REPLY_LINES_MAX + 1, 1, &again),
                     SMTP_REPLY_BAD);
}

static void
a_reply_has_its_limit(void **state)
{
    struct smtp_reply_reader r = {0}, again = {0};

    (void)state;
    assert_int_equal(read_lines(64, 1024 - 6, &r), SMTP_REPLY_WHOLE);
    assert_int_equal(read_lines(65, 1024 - 6, &again), SMTP_REPLY_BAD);
}

static void
what_is_kept_is_whole_lines(void **state)
{
    struct smtp_reply_reader r = {0};

    (void)state;
    assert_int_equal(read_lines(50, 999, &r), SMTP_REPLY_WHOLE);
    assert_int_equal(r.reply.len, 8 * 1000 - 1);
    assert_int_equal(r.reply.text[r.reply.len], '\0');
    assert_int_equal(r.reply.text[r.reply.len - 1], 'x');
}

static void
a_limit_is_of_one_reply_not_of_the_session(void **state)
{
    struct smtp_reply_reader r = {0};

    (void)state;
    for (int i = 0; i < 1000; i++)
        assert_int_equal(read_lines(2, 1000, &r), SMTP_REPLY_WHOLE);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_the_same_however_cut),
        cmocka_unit_test(leaves_the_next_reply_alone),
        cmocka_unit_test(keeps_a_nul_as_it_came),
        cmocka_unit_test(a_line_has_its_limit),
        cmocka_unit_test(lines_have_their_limit),
        cmocka_unit_test(a_reply_has_its_limit),
        cmocka_unit_test(what_is_kept_is_whole_lines),
        cmocka_unit_test(a_limit_is_of_one_reply_not_of_the_session),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
