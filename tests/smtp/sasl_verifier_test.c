#include "smtp/sasl_verifier.h"

#include "relay/base/base64.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void
a_verifier_says_what_it_was_made_of_and_is_read_again(void **state)
{
    struct slice salt = slice_of("0123456789abcdef");
    struct buf text = {0}, again = {0};
    struct smtp_sasl_verifier made, read;
    struct smtp_sasl_scram_keys keys;
    uint8_t salted[SMTP_SASL_SCRAM_KEY];
    struct err err;

    (void)state;
    smtp_sasl_verifier_make(slice_of("pencil"), salt, 4096, &made);
    smtp_sasl_scram_salt(slice_of("pencil"), salt, 4096, salted);
    smtp_sasl_scram_derive(salted, &keys);
    assert_memory_equal(made.stored, keys.stored, sizeof(made.stored));
    assert_memory_equal(made.server, keys.server, sizeof(made.server));

    smtp_sasl_verifier_format(&made, &text);
    assert_true(slice_starts_nocase(
        buf_slice(&text), "SCRAM-SHA-256$4096:MDEyMzQ1Njc4OWFiY2RlZg==$"));
    assert_true(smtp_sasl_verifier_parse(buf_slice(&text), &read, &err));
    smtp_sasl_verifier_format(&read, &again);
    assert_string_equal(buf_text(&text), buf_text(&again));

    for (size_t cut = 0; cut < text.len; cut++)
        assert_false(smtp_sasl_verifier_parse(
            slice_first(buf_slice(&text), cut), &read, &err));
    buf_free(&text);
    buf_free(&again);
}

#define KEY "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="

static const char *const no_verifiers[] = {
    "",
    "$4096:AAAA$" KEY ":" KEY,
    "SCRAM-SHA-1$4096:AAAA$" KEY ":" KEY,
    "scram-sha-256$4096:AAAA$" KEY ":" KEY,
    "SCRAM-SHA-256$4095:AAAA$" KEY ":" KEY,
    "SCRAM-SHA-256$1000001:AAAA$" KEY ":" KEY,
    "SCRAM-SHA-256$18446744073709551616:AAAA$" KEY ":" KEY,
    "SCRAM-SHA-256$-4096:AAAA$" KEY ":" KEY,
    "SCRAM-SHA-256$4096:$" KEY ":" KEY,
    "SCRAM-SHA-256$4096$" KEY ":" KEY,
    "SCRAM-SHA-256$4096:AAA$" KEY ":" KEY,
    "SCRAM-SHA-256$4096:" KEY KEY "$" KEY ":" KEY,
    "SCRAM-SHA-256$4096:AAAA$" KEY,
    "SCRAM-SHA-256$4096:AAAA$AAAA:" KEY,
    "SCRAM-SHA-256$4096:AAAA$" KEY ":AAAA",
    "SCRAM-SHA-256$4096:AAAA$" KEY ":" KEY " ",
    "SCRAM-SHA-256$4096:AAAA$" KEY ":" KEY ":" KEY,
};

/* RFC 5803 section 3 */
static void
nothing_else_is_a_verifier(void **state)
{
    struct smtp_sasl_verifier v;
    struct err err;

    (void)state;
    assert_true(smtp_sasl_verifier_parse(
        slice_of("SCRAM-SHA-256$4096:AAAA$" KEY ":" KEY), &v, &err));
    for (size_t i = 0; i < sizeof(no_verifiers) / sizeof(no_verifiers[0]); i++)
        if (smtp_sasl_verifier_parse(slice_of(no_verifiers[i]), &v, &err))
            fail_msg("\"%s\" was read", no_verifiers[i]);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_verifier_says_what_it_was_made_of_and_is_read_again),
        cmocka_unit_test(nothing_else_is_a_verifier),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
