#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "relay/base/buf.h"
#include "relay/base/mem.h"
#include "smtp/unstuff.h"

#include <stdlib.h>

struct outcome {
    struct buf message;
    unsigned flaws;
    uint64_t octets;
    bool ended;
    size_t rest; /* of the input, behind the end */
};

/* Reads `in` in pieces of `step` octets, the first of `first`. */
static struct outcome
unstuff(struct slice in, size_t first, size_t step)
{
    struct smtp_unstuff u = {0};
    struct outcome o = {0};
    size_t len = first;

    while (in.len > 0 && !o.ended) {
        struct slice part = slice_first(in, len), rest = part, piece;

        while (rest.len > 0 && !o.ended) {
            o.ended = smtp_unstuff_data(&u, &rest, &piece);
            buf_add(&o.message, piece);
        }
        in = slice_from(in, part.len - rest.len);
        len = step;
    }
    o.flaws = u.flaws;
    o.octets = u.octets;
    o.rest = in.len;
    return o;
}

static void
check_all_cuts(struct slice in, const char *message, unsigned flaws, bool ended,
               size_t rest)
{
    for (size_t cut = 0; cut <= in.len; cut++) {
        struct outcome o = cut ? unstuff(in, cut, in.len) : unstuff(in, 1, 1);

        assert_int_equal(o.ended, ended);
        assert_int_equal(o.flaws, flaws);
        if (ended)
            assert_int_equal(o.rest, rest);
        if (message)
            assert_true(slice_is(buf_slice(&o.message), message));
        if (!flaws)
            assert_int_equal(o.octets, o.message.len);
        buf_free(&o.message);
    }
}

static void
messages_come_out_without_their_dots(void **state)
{
    static const struct {
        const char *in, *message;
    } cases[] = {
        {".\r\n", ""},
        {"\r\n.\r\n", "\r\n"},
        {"a\r\n.\r\n", "a\r\n"},
        {"a: b\r\n\r\nc\r\n.\r\n", "a: b\r\n\r\nc\r\n"},
        {"..\r\n.\r\n", ".\r\n"},
        {"...\r\n..x\r\n.\r\n", "..\r\n.x\r\n"},
        {".x\r\n.\r\n", "x\r\n"},
        {". \r\n.\r\n", " \r\n"},
        {".\t\r\n.\r\n", "\t\r\n"},
        {"a.\r\n.\r\n", "a.\r\n"},
        {"a\r\n..\r\n..\r\n.\r\n", "a\r\n.\r\n.\r\n"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        check_all_cuts(slice_of(cases[i].in), cases[i].message, 0, true, 0);
}

static void
what_stands_behind_the_end_is_left(void **state)
{
    (void)state;
    check_all_cuts(slice_of("a\r\n.\r\nQUIT\r\n"), "a\r\n", 0, true, 6);
    check_all_cuts(slice_of(".\r\n.\r\n"), "", 0, true, 3);
}

static void
nothing_else_ends_a_message(void **state)
{
    enum {
        CR = SMTP_UNSTUFF_BARE_CR,
        LF = SMTP_UNSTUFF_BARE_LF,
        NUL = SMTP_UNSTUFF_NUL,
    };
    static const struct {
        const char *in;
        size_t len;
        unsigned flaws;
    } cases[] = {
#define CASE(octets, flaws) {octets, sizeof(octets) - 1, flaws}
        CASE("b\n.\n", LF),
        CASE("b\n.\r\n", LF),
        CASE("b\r\n.\n", LF),
        CASE("b\r.\r", CR),
        CASE("b\r.\n", CR | LF),
        CASE("b\n.\r", LF),
        CASE("b\r.\r\n", CR),
        CASE("b\r\n.\rX", CR),
        CASE("b\r\n.\r\r\n", CR),
        CASE("b\r\r\n.\r\r\n", CR),
        CASE("b\r\n\0.\r\n", NUL),
        CASE("b\r\n.\0\r\n", NUL),
        CASE("b\r\n. \r\n", 0),
        CASE("b\r\n..\r\n", 0),
        CASE("\n.\r\n", LF),
        CASE("\n.\n", LF),
        CASE("\r.\r\n", CR),
        CASE(".\n", LF),
        CASE(".", 0),
        CASE(".\r", 0),
        CASE("b\r\n", 0),
        CASE("b\r\n.", 0),
        CASE("b\r\n.\r", 0),
        CASE("b\r", 0),
#undef CASE
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        check_all_cuts((struct slice){cases[i].in, cases[i].len}, NULL,
                       cases[i].flaws, false, 0);
}

static void
a_flaw_does_not_hide_the_real_end(void **state)
{
    (void)state;
    check_all_cuts(slice_of("a\n.\nb\r\n.\r\n!"), NULL, SMTP_UNSTUFF_BARE_LF,
                   true, 1);
    check_all_cuts(slice_of("a\r\n.\r\r\n.\r\n!"), NULL, SMTP_UNSTUFF_BARE_CR,
                   true, 1);
    check_all_cuts(slice_of("\n\r\n.\r\n!"), NULL, SMTP_UNSTUFF_BARE_LF, true,
                   1);
}

static void
lines_are_limited(void **state)
{
    char *text = mem_array(char, SMTP_UNSTUFF_LINE_MAX + 10);
    struct outcome o;

    (void)state;
    memset(text, 'x', SMTP_UNSTUFF_LINE_MAX + 10);
    memcpy(text, "..", 2); /* a stuffed dot does not count */
    memcpy(text + SMTP_UNSTUFF_LINE_MAX - 1, "\r\n.\r\n", 5);
    for (size_t step = 1; step <= SMTP_UNSTUFF_LINE_MAX; step *= 16) {
        struct slice in = {text, SMTP_UNSTUFF_LINE_MAX + 4};

        o = unstuff(in, step, step);
        assert_true(o.ended && o.flaws == 0);
        buf_free(&o.message);
    }

    text[SMTP_UNSTUFF_LINE_MAX - 1] = 'x';
    memcpy(text + SMTP_UNSTUFF_LINE_MAX, "\r\n.\r\n", 5);
    for (size_t step = 1; step <= SMTP_UNSTUFF_LINE_MAX; step *= 16) {
        struct slice in = {text, SMTP_UNSTUFF_LINE_MAX + 5};

        o = unstuff(in, step, step);
        assert_true(o.ended && o.flaws == SMTP_UNSTUFF_LONG_LINE);
        buf_free(&o.message);
    }
    free(text);
}

static void
chunks_follow_the_same_rules_but_for_dots(void **state)
{
    static const struct {
        const char *in;
        unsigned flaws;
        bool lacks_crlf;
    } cases[] = {
        {"", 0, false},
        {"a\r\n", 0, false},
        {"a", 0, true},
        {"a\r\n.\r\n..\r\n", 0, false},
        {".", 0, true},
        {"a\n", SMTP_UNSTUFF_BARE_LF, true},
        {"a\rb\r\n", SMTP_UNSTUFF_BARE_CR, false},
        {"a\r", SMTP_UNSTUFF_BARE_CR, true},
        {"a\r\r\n", SMTP_UNSTUFF_BARE_CR, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct slice in = slice_of(cases[i].in);

        for (size_t cut = 0; cut <= in.len; cut++) {
            struct smtp_unstuff u = {0};

            smtp_unstuff_chunk(&u, slice_first(in, cut));
            smtp_unstuff_chunk(&u, slice_from(in, cut));
            assert_int_equal(smtp_unstuff_chunks_end(&u), cases[i].lacks_crlf);
            assert_int_equal(u.flaws, cases[i].flaws);
            assert_int_equal(u.octets, in.len);
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_come_out_without_their_dots),
        cmocka_unit_test(what_stands_behind_the_end_is_left),
        cmocka_unit_test(nothing_else_ends_a_message),
        cmocka_unit_test(a_flaw_does_not_hide_the_real_end),
        cmocka_unit_test(lines_are_limited),
        cmocka_unit_test(chunks_follow_the_same_rules_but_for_dots),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
