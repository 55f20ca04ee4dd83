/* RFC 2047: encoded words. */
#include "relay/mail/word.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "relay/base/own.h"

static const struct {
    const char *in, *text, *phrase;
} table[] = {
    {"hello", "hello", "hello"},
    {"", "", ""},
    {"a  b", "a  b", "a  b"},
    {"J. Doe", "J. Doe", "\"J. Doe\""},
    {"a \"b\" \\c", "a \"b\" \\c", "\"a \\\"b\\\" \\\\c\""},
    {" a", "=?utf-8?q?_a?=", "\" a\""},
    {"a =?x", "=?utf-8?q?a_=3D=3Fx?=", "=?utf-8?q?a_=3D=3Fx?="},
    {"a\r\nBcc: b",
     "=?utf-8?q?a=0D=0ABcc=3A_b?=", "=?utf-8?q?a=0D=0ABcc=3A_b?="},
    {"Gr\xc3\xbc\xc3\x9f"
     "e",
     "=?utf-8?b?R3LDvMOfZQ==?=", "=?utf-8?b?R3LDvMOfZQ==?="},
    {"plain but for \xc3\xbc",
     "=?utf-8?q?plain_but_for_=C3=BC?=", "=?utf-8?q?plain_but_for_=C3=BC?="},
    {"\xff", "=?utf-8?b?/w==?=", "=?utf-8?b?/w==?="},
};

static void
text_becomes_a_value_and_names_become_phrases(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        scoped(buf_free) struct buf text = {0};
        scoped(buf_free) struct buf phrase = {0};

        mail_word_text(slice_of(table[i].in), &text);
        mail_word_phrase(slice_of(table[i].in), &phrase);
        assert_string_equal(buf_text(&text), table[i].text);
        assert_string_equal(buf_text(&phrase), table[i].phrase);
    }
}

/* RFC 2047 section 2: 75 octets a word, 76 a line. */
static void
check_lines(struct slice out, bool is_encoded)
{
    while (out.len > 0) {
        struct slice line = slice_cut(&out, '\n');

        if (out.len > 0) {
            assert_int_equal(line.p[line.len - 1], '\r');
            assert_int_equal(out.p[0], ' ');
            line.len--;
        }
        if (is_encoded)
            assert_true(line.len <= MAIL_WORD_LINE);
        for (size_t i = 0; i < line.len; i++)
            assert_true(line.p[i] >= ' ' && line.p[i] <= '~');
    }
}

/* None begins in the middle of a character. */
static void
check_words(const char *out)
{
    static const char begin[] = "?q?=";

    while ((out = strstr(out, begin))) {
        out += sizeof(begin) - 1;
        assert_null(strchr("89AB", *out));
    }
}

static void
long_text_is_folded_and_characters_stay_whole(void **state)
{
    static const char *const parts[] = {"\xe6\xa0\xaa", "\xc3\xbc and ",
                                        "\xf0\x9f\x8e\x89", "word "};

    (void)state;
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        for (size_t n = 1; n < 200; n += 7)
            for (size_t before = 0; before < 80; before += 13) {
                scoped(buf_free) struct buf in = {0};
                scoped(buf_free) struct buf out = {0};

                for (size_t k = 0; k < n; k++)
                    buf_add_text(&in, parts[i]);
                buf_add_text(&in, ".");
                for (size_t k = 0; k < before; k++)
                    buf_add_byte(&out, 'X');
                mail_word_text(buf_slice(&in), &out);
                check_lines(buf_slice(&out), before < 50);
                check_words(buf_text(&out));
            }
}

static void
the_column_is_counted_from_the_last_line_end(void **state)
{
    scoped(buf_free) struct buf out = {0};

    (void)state;
    assert_int_equal(mail_word_column(&out), 0);
    buf_add_text(&out, "abc");
    assert_int_equal(mail_word_column(&out), 3);
    buf_add_text(&out, "\r\n de");
    assert_int_equal(mail_word_column(&out), 3);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_becomes_a_value_and_names_become_phrases),
        cmocka_unit_test(long_text_is_folded_and_characters_stay_whole),
        cmocka_unit_test(the_column_is_counted_from_the_last_line_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
