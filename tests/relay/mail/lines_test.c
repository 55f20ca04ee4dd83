#include "relay/mail/lines.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define T(literal)                                                             \
    {                                                                          \
        literal, sizeof(literal) - 1                                           \
    }

/* `out` NULL: refused. */
static const struct {
    struct slice in;
    const char *out;
} table[] = {
    {T(""), ""},
    {T("a"), "a\r\n"},
    {T("a\n"), "a\r\n"},
    {T("a\r\n"), "a\r\n"},
    {T("\n\r\n\n"), "\r\n\r\n\r\n"},
    {T("a\nb\r\nc"), "a\r\nb\r\nc\r\n"},
    {T(".\n..\n\xff"), ".\r\n..\r\n\xff\r\n"},
    {T("\r"), NULL},
    {T("a\r"), NULL},
    {T("a\rb\n"), NULL},
    {T("a\r\r\n"), NULL},
    {T("a\n\r\r"), NULL},
    {T("a\n\rb"), NULL},
    {T("a\0b\n"), NULL},
    {T("\0"), NULL},
};

static bool
read_all(struct slice in, size_t step, struct buf *out, struct err *err)
{
    struct mail_lines l = {0};

    for (; in.len > 0; in = slice_from(in, step))
        if (!mail_lines_add(&l, slice_first(in, step), out, err))
            return false;
    return mail_lines_end(&l, out, err);
}

static void
lines_end_in_crlf_or_are_refused_however_they_are_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        for (size_t step = 1; step <= 4; step++) {
            scoped(buf_free) struct buf out = {0};
            struct err err;
            bool ok = read_all(table[i].in, step, &out, &err);

            if (ok != (table[i].out != NULL))
                fail_msg("%zu by %zu", i, step);
            if (ok)
                assert_string_equal(buf_text(&out), table[i].out);
            else
                assert_int_equal(err.kind, ERR_INPUT);
        }
}

static void
the_line_that_is_wrong_is_named(void **state)
{
    scoped(buf_free) struct buf out = {0};
    struct err err;

    (void)state;
    assert_false(read_all(slice_of("one\ntwo\nth\ree\n"), 2, &out, &err));
    assert_string_equal(err.text, "line 3 has a CR that no LF follows");
}

static void
a_line_has_its_limit(void **state)
{
    for (size_t len = MAIL_LINES_MAX - 2; len <= MAIL_LINES_MAX - 1; len++) {
        scoped(buf_free) struct buf in = {0}, out = {0};
        struct err err;

        (void)state;
        memset(buf_room(&in, len), 'x', len);
        in.len = len;
        assert_int_equal(read_all(buf_slice(&in), 1000, &out, &err),
                         len == MAIL_LINES_MAX - 2);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_end_in_crlf_or_are_refused_however_they_are_cut),
        cmocka_unit_test(the_line_that_is_wrong_is_named),
        cmocka_unit_test(a_line_has_its_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
