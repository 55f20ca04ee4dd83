#include "relay/mail/dkim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* RFC 5322 section 3.6.2 */
static void
the_domain_of_the_first_author_is_found(void **state)
{
    static const struct {
        const char *header, *want; /* "": none */
    } rows[] = {
        {"From: a@one.example\r\n", "one.example"},
        {"To: x@two.example\r\nFROM : \"A, B\" <a@One.Example>\r\n",
         "one.example"},
        {"From:\r\n Joe\r\n\t<joe@\r\n one.example>\r\n", "one.example"},
        {"From: a@one.example, b@two.example\r\n", "one.example"},
        {"From: a@one.example\r\nFrom: b@two.example\r\n", "one.example"},
        {"From: (x@two.example) a (y) @one.example\r\n", "one.example"},
        {"From: \"x@two.example\" <a@one.example>\r\n", "one.example"},
        {"From: \"b@two.example\"@one.example\r\n", "one.example"},
        {"From: Group: a@one.example;\r\n", "one.example"},
        {"From: <@hop.example:a@one.example>\r\n", "one.example"},
        {"From: a@b\xc3\xbc"
         "cher.example\r\n",
         "xn--bcher-kva.example"},
        {"From: root, a@one.example\r\n", "one.example"},
        {"From: root@localhost\r\n", ""},
        {"From: a@[192.0.2.1]\r\n", ""},
        {"From: undisclosed:;\r\n", ""},
        {"From: <>\r\n", ""},
        {"From:\r\n", ""},
        {"X-From: a@one.example\r\n", ""},
        {"To: a\r\n From: a@one.example\r\n", ""},
        {"To: a\r\n\r\nFrom: a@one.example\r\n", ""},
        {"From\r\n", ""},
        {"", ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct mail_domain domain;
        bool found = mail_dkim_author(slice_of(rows[i].header), &domain);

        assert_int_equal(found, rows[i].want[0] != '\0');
        if (strcmp(domain.text, rows[i].want) != 0)
            fail_msg("%s: %s", rows[i].header, domain.text);
    }
}

static void
an_own_signature_is_recognized(void **state)
{
    static const struct {
        const char *header;
        bool is_signed;
    } rows[] = {
        {"DKIM-Signature: v=1; d=one.example; s=s1; b=\r\n", true},
        {"A: b\r\ndkim-signature:v=1;\r\n d = One.Example ;\r\n\ts=S1\r\n",
         true},
        {"DKIM-Signature: d=one.example; s=s2\r\n"
         "DKIM-Signature: d=one.example; s=s1\r\n",
         true},
        {"DKIM-Signature: d=one.example; s=s2\r\n", false},
        {"DKIM-Signature: d=sub.one.example; s=s1\r\n", false},
        {"DKIM-Signature: s=s1\r\n", false},
        {"DKIM-Signature: d=one.example\r\n", false},
        {"X-DKIM-Signature: d=one.example; s=s1\r\n", false},
        {"\r\nDKIM-Signature: d=one.example; s=s1\r\n", false},
        {"", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        assert_int_equal(
            mail_dkim_is_signed(slice_of(rows[i].header), "one.example", "s1"),
            rows[i].is_signed);
}

/* RFC 6376 section 3.1 */
static void
a_selector_is_made_of_labels(void **state)
{
    static const char *const good[] = {"s1", "S-1", "a.b.c", "20261123", "a_b"};
    static const char *const bad[] = {
        "",
        ".",
        "a.",
        ".a",
        "a..b",
        "-a",
        "a-",
        "a b",
        "a;b",
        "a\r\nb",
        "\xc3\xbc",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
        assert_true(mail_dkim_is_selector(good[i]));
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        assert_false(mail_dkim_is_selector(bad[i]));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_domain_of_the_first_author_is_found),
        cmocka_unit_test(an_own_signature_is_recognized),
        cmocka_unit_test(a_selector_is_made_of_labels),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
