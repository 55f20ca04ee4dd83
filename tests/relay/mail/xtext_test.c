#include "relay/mail/xtext.h"

#include "relay/base/own.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

typedef bool decode_fn(struct slice text, struct buf *out);

static void
check(decode_fn *decode, const char *in, const char *want)
{
    scoped(buf_free) struct buf out = {0};

    buf_add_text(&out, "before ");
    if (decode(slice_of(in), &out) != (want != NULL))
        fail_msg("%s: %s", in, buf_text(&out));
    assert_string_equal(buf_text(&out) + 7, want ? want : "");
}

static void
decodes_xtext(void **state)
{
    (void)state;
    check(mail_xtext_decode, "", "");
    check(mail_xtext_decode, "abc@d.example", "abc@d.example");
    check(mail_xtext_decode, "a+2Bb+3Dc+20d", "a+b=c d");
    check(mail_xtext_decode, "+41\\x{42}", "A\\x{42}");
    check(mail_xtext_decode, "+C3+BC", "\xc3\xbc");
}

static void
refuses_what_is_no_xtext(void **state)
{
    static const char *const cases[] = {
        "a=b",
        "+",
        "a+",
        "a+4",
        "+4",
        "+4g",
        "+g4",
        "+4a",
        "+ 4",
        "++",
        "+-1",
        "a b",
        "a\tb",
        "a\r\n",
        "a\x7f",
        "\xc3\xbc",
        /* What is hidden must not come out either. */
        "a+00",
        "+0A",
        "+0D+0A",
        "+0ARCPT",
        "+09",
        "+1B[2J",
        "+7F",
        "+FF",
        "+C3",
        "+C2+85",
        "+E2+80+AE",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        check(mail_xtext_decode, cases[i], NULL);
}

static void
brings_back_what_it_encoded(void **state)
{
    scoped(buf_free) struct buf coded = {0}, back = {0}, all = {0};

    (void)state;
    for (char c = ' '; c < 0x7F; c++)
        buf_add_byte(&all, c);
    buf_add_text(&all, "\xc3\xbc\xe2\x82\xac\xf0\x9f\x92\xa9");
    mail_xtext_encode(buf_slice(&all), &coded);
    for (size_t i = 0; i < coded.len; i++)
        assert_in_range(coded.p[i], '!', '~');
    assert_true(mail_xtext_decode(buf_slice(&coded), &back));
    assert_string_equal(buf_text(&back), buf_text(&all));

    buf_clear(&coded), buf_clear(&back);
    mail_xtext_encode_utf8(buf_slice(&all), &coded);
    for (size_t i = 0; i < coded.len; i++)
        assert_in_range(coded.p[i], '!', '~');
    assert_true(mail_xtext_decode_utf8(buf_slice(&coded), &back));
    assert_string_equal(buf_text(&back), buf_text(&all));
}

static void
encodes_as_the_standard_spells(void **state)
{
    scoped(buf_free) struct buf out = {0};

    (void)state;
    mail_xtext_encode((struct slice){"a+b=\0 \xff", 7}, &out);
    assert_string_equal(buf_text(&out), "a+2Bb+3D+00+20+FF");
    buf_clear(&out);
    mail_xtext_encode_utf8(slice_of("a+\xc3\xbc\\\xff"), &out);
    assert_string_equal(buf_text(&out), "a\\x{2B}\\x{FC}\\x{5C}?");
}

static void
decodes_utf8_addresses(void **state)
{
    (void)state;
    check(mail_xtext_decode_utf8, "a@b.example", "a@b.example");
    check(mail_xtext_decode_utf8, "\xc3\xbc@b.example", "\xc3\xbc@b.example");
    check(mail_xtext_decode_utf8, "\\x{FC}@b", "\xc3\xbc@b");
    check(mail_xtext_decode_utf8, "\\x{20AC}\\x{1F4A9}",
          "\xe2\x82\xac\xf0\x9f\x92\xa9");
    check(mail_xtext_decode_utf8, "\\x{2B}\\x{3D}\\x{5C}\\x{20}", "+=\\ ");
    check(mail_xtext_decode_utf8, "\\x{10FFFD}", "\xf4\x8f\xbf\xbd");
}

static void
refuses_what_is_no_utf8_address(void **state)
{
    static const char *const cases[] = {
        "a+2B",      "a=b",       "a b",         "a\\",         "\\x",
        "\\x{",      "\\x{}",     "\\x{A}",      "\\x{FC",      "\\xFC}",
        "\\y{FC}",   "\\x{fc}",   "\\x{0FC}",    "\\x{00FC}",   "\\x{41}",
        "\\x{0A}",   "\\x{00}",   "\\x{10}",     "\\x{7F}",     "\\x{85}",
        "\\x{D800}", "\\x{DFFF}", "\\x{110000}", "\\x{FFFFFF}", "\\x{1000000}",
        "\\x{202E}", "\xff",      "\xc3",        "a\r\nb",      "a\x7f",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        check(mail_xtext_decode_utf8, cases[i], NULL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decodes_xtext),
        cmocka_unit_test(refuses_what_is_no_xtext),
        cmocka_unit_test(brings_back_what_it_encoded),
        cmocka_unit_test(encodes_as_the_standard_spells),
        cmocka_unit_test(decodes_utf8_addresses),
        cmocka_unit_test(refuses_what_is_no_utf8_address),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
