#include "smtp/stuff.h"

#include "relay/base/own.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static const struct {
    const char *message, *wire;
} cases[] = {
    {"", ".\r\n"},
    {"a\r\n", "a\r\n.\r\n"},
    {"\r\n", "\r\n.\r\n"},
    /* RFC 5321 section 4.5.2 */
    {".\r\n", "..\r\n.\r\n"},
    {"..\r\n", "...\r\n.\r\n"},
    {".a\r\n", "..a\r\n.\r\n"},
    {"a\r\n.\r\nb\r\n", "a\r\n..\r\nb\r\n.\r\n"},
    {"a.b.\r\n.c.d\r\n", "a.b.\r\n..c.d\r\n.\r\n"},
    {".\r\n.\r\n.\r\n", "..\r\n..\r\n..\r\n.\r\n"},
    {" .\r\n", " .\r\n.\r\n"},
    /* a last line without CRLF gets one */
    {"a", "a\r\n.\r\n"},
    {".", "..\r\n.\r\n"},
    {"a\r\n.", "a\r\n..\r\n.\r\n"},
    /* no message should be like these, yet none may end early */
    {"a\r", "a\r\r\n.\r\n"},
    {"a\n", "a\n\r\n.\r\n"},
    {"a\n.\r\nb\r\n", "a\n..\r\nb\r\n.\r\n"},
    {"a\n.\nb\r\n", "a\n..\nb\r\n.\r\n"},
    {"a\r.\rb\r\n", "a\r..\rb\r\n.\r\n"},
    {"a\r.\r\nb\r\n", "a\r..\r\nb\r\n.\r\n"},
    {"a\r\n.\nb\r\n", "a\r\n..\nb\r\n.\r\n"},
};

enum { CASES = sizeof(cases) / sizeof(cases[0]) };

static void
check(size_t i, const struct buf *out)
{
    assert_int_equal(out->len, strlen(cases[i].wire));
    assert_memory_equal(out->p, cases[i].wire, out->len);
}

static void
stuffs_the_same_however_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < CASES; i++) {
        struct slice message = slice_of(cases[i].message);

        for (size_t cut = 0; cut <= message.len; cut++) {
            scoped(buf_free) struct buf out = {0};
            struct smtp_stuff s = {SMTP_STUFF_START};

            smtp_stuff_add(&s, slice_first(message, cut), &out);
            smtp_stuff_add(&s, slice_from(message, cut), &out);
            smtp_stuff_end(&s, &out);
            check(i, &out);
        }
    }
}

static void
stuffs_octet_by_octet(void **state)
{
    struct smtp_stuff s = {SMTP_STUFF_START};

    (void)state;
    for (size_t i = 0; i < CASES; i++) {
        scoped(buf_free) struct buf out = {0};

        for (const char *p = cases[i].message; *p; p++)
            smtp_stuff_add(&s, (struct slice){p, 1}, &out);
        smtp_stuff_end(&s, &out); /* and the writer is as new */
        check(i, &out);
    }
}

static void
a_nul_is_an_octet_like_any(void **state)
{
    scoped(buf_free) struct buf out = {0};
    struct smtp_stuff s = {SMTP_STUFF_START};

    (void)state;
    smtp_stuff_add(&s, (struct slice){"\0", 1}, &out);
    smtp_stuff_add(&s, (struct slice){".\0.\r\n", 5}, &out);
    smtp_stuff_end(&s, &out);
    assert_int_equal(out.len, 9);
    assert_memory_equal(out.p, "\0.\0.\r\n.\r\n", 9);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stuffs_the_same_however_cut),
        cmocka_unit_test(stuffs_octet_by_octet),
        cmocka_unit_test(a_nul_is_an_octet_like_any),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
