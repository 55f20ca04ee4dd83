#include "relay/mail/address.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

static bool
parses(const char *text, bool utf8, struct mail_address *out)
{
    struct err err = {0};
    bool ok = mail_address_parse(slice_of(text), utf8, out, &err);

    if (!ok) {
        assert_int_equal(err.kind, ERR_INPUT);
        assert_string_not_equal(err.text, "");
        assert_string_equal(out->text, "");
        assert_string_equal(out->domain.text, "");
    }
    return ok;
}

static void
takes_what_the_grammar_allows(void **state)
{
    static const struct {
        const char *in, *text, *domain;
        unsigned at;
    } cases[] = {
        {"a@b.example", "a@b.example", "b.example", 1},
        {"A.B@C.Example", "A.B@c.example", "c.example", 3},
        {"a@b.example.", "a@b.example", "b.example", 1},
        {"a%b@c.example", "a%b@c.example", "c.example", 3},
        {"a!b@c.example", "a!b@c.example", "c.example", 3},
        {"\"a@b\"@c.example", "\"a@b\"@c.example", "c.example", 5},
        {"\"a\\\"b\"@x.example", "\"a\\\"b\"@x.example", "x.example", 6},
        {"\"a\\\\\"@x.example", "\"a\\\\\"@x.example", "x.example", 5},
        {"\"\"@x.example", "\"\"@x.example", "x.example", 2},
        {"\"a b\"@x.example", "\"a b\"@x.example", "x.example", 5},
        {"\"x'/**/UNION/**/SELECT/**/X'00'--\"@a.example",
         "\"x'/**/UNION/**/SELECT/**/X'00'--\"@a.example", "a.example", 34},
        {"${run{/bin/id}}@x.example", "${run{/bin/id}}@x.example", "x.example",
         15},
        {"|id@x.example", "|id@x.example", "x.example", 3},
        {"`id`@x.example", "`id`@x.example", "x.example", 4},
        {"-oQ/tmp/x@y.example", "-oQ/tmp/x@y.example", "y.example", 9},
        {"a@xn--bcher-kva.example", "a@xn--bcher-kva.example",
         "xn--bcher-kva.example", 1},
        {"a@[192.0.2.1]", "a@[192.0.2.1]", "", 1},
        {"a@[IPv6:2001:DB8::1]", "a@[ipv6:2001:db8::1]", "", 1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct mail_address a;

        if (!parses(cases[i].in, false, &a))
            fail_msg("refused: %s", cases[i].in);
        assert_string_equal(a.text, cases[i].text);
        assert_string_equal(a.domain.text, cases[i].domain);
        assert_int_equal(a.at, cases[i].at);
        assert_true(a.is_ascii);
        assert_int_equal(a.is_literal, cases[i].domain[0] == '\0');
    }
}

static void
refuses_everything_else(void **state)
{
    static const char *const cases[] = {
        "",
        "@",
        "a",
        "a@",
        "@x.example",
        "postmaster",
        "a@localhost",
        "a@.",
        "a@..",
        "a@x.",
        "a@x..y",
        "a@.x.y",
        "a@-x.y",
        "a@x-.y",
        "a@*.x",
        "a@b@c.example",
        "a b@c.example",
        " a@c.example",
        "a@c.example ",
        ".a@c.example",
        "a.@c.example",
        "a..b@c.example",
        "a@c.example..",
        "<a@c.example>",
        "a@c.example>",
        "a;b@c.example",
        "a,b@c.example",
        "a(b)@c.example",
        "a:b@c.example",
        "@a,@b:c@d.example",
        "\"a@c.example",
        "\"a\"b@c.example",
        "a\"b\"@c.example",
        "\"a\\\"@c.example",
        "\"a\\",
        "\"",
        "\"a\"",
        "\"a\".b@c.example",
        "a\r\nRCPT TO:<v@w>@x.example",
        "\"a\r\nRCPT TO:<v@w>\"@x.example",
        "\"a\\\r\"@x.example",
        "a\t@x.example",
        "a\x7f@x.example",
        "\"\x01\"@x.example",
        "a@x.exam ple",
        "a@x.example\n",
        "a@1.2.3.4",
        "a@x.123",
        "a@[",
        "a@[]",
        "a@[1.2.3.4",
        "a@1.2.3.4]",
        "a@[1.2.3]",
        "a@[1.2.3.256]",
        "a@[01.2.3.4]",
        "a@[1.2.3.4].",
        "a@[1.2.3.4]x",
        "a@[[1.2.3.4]]",
        "a@[2001:db8::1]",
        "a@[IPv6:]",
        "a@[IPv6:1.2.3.4]",
        "a@[IPv6:fe80::1%eth0]",
        "a@[IPv6:[::1]]",
        "a@[IPv6:::1]\r",
        "a@[x:abc]",
        "a@[1.2.3.4]@x.example",
        "j\xc3\xb6@x.example",
        "a@b\xc3\xbcx.example",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct mail_address a;

        if (parses(cases[i], false, &a))
            fail_msg("taken: %s", cases[i]);
    }
}

static void
refuses_a_nul_anywhere(void **state)
{
    static const char text[] = "ab@c.example";

    (void)state;
    for (size_t i = 0; i < sizeof(text) - 1; i++) {
        struct mail_address a;
        struct err err;
        char copy[sizeof(text)];

        memcpy(copy, text, sizeof(text));
        copy[i] = '\0';
        assert_false(mail_address_parse((struct slice){copy, sizeof(text) - 1},
                                        true, &a, &err));
    }
}

static void
takes_utf8_where_it_was_asked_for(void **state)
{
    struct mail_address a;

    (void)state;
    assert_true(parses("j\xc3\xb6@B\xc3\xbc"
                       "cher.Example",
                       true, &a));
    assert_string_equal(a.text, "j\xc3\xb6@b\xc3\xbc"
                                "cher.example");
    assert_string_equal(a.domain.text, "xn--bcher-kva.example");
    assert_int_equal(a.at, 3);
    assert_false(a.is_ascii);
    assert_true(parses("\"\xe2\x82\xac \"@x.example", true, &a));
    assert_false(a.is_ascii);
    assert_true(parses("a@x.example", true, &a));
    assert_true(a.is_ascii);
}

static void
refuses_utf8_that_is_none_or_hides(void **state)
{
    static const char *const cases[] = {
        "\xff@x.example",
        "\xc3@x.example",
        "\xc0\xaf@x.example",
        "\xe0\x80\xaf@x.example",
        "\xed\xa0\x80@x.example",
        "\xf4\x90\x80\x80@x.example",
        "\xf8\x88\x80\x80\x80@x.example",
        "a\xe2\x80\xae@x.example",
        "a\xc2\x85@x.example",
        "a@\xe2\x80\xaex.example",
        "a@x\xed\xa0\x80.example",
        "\"\\\xc3\xb6\"@x.example",
        "a\xe2\x80\xa8@x.example",
        "a@xn--.example",
        "a@xn--a.example",
        "a@\xe2\x84\x80.example",
        "a@x\xef\xbc\x8f.example",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct mail_address a;

        if (parses(cases[i], true, &a))
            fail_msg("taken: case %zu", i);
    }
}

static bool
takes_local_part_of(size_t n, const char *unit, const char *quote)
{
    struct mail_address a;
    char text[400] = "";
    size_t len = 0;

    len += (size_t)snprintf(text, sizeof(text), "%s", quote);
    for (size_t i = 0; i < n; i++)
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%s", unit);
    (void)snprintf(text + len, sizeof(text) - len, "%s@x.example", quote);
    return parses(text, false, &a);
}

static void
holds_the_local_part_to_its_limit(void **state)
{
    (void)state;
    assert_true(takes_local_part_of(64, "a", ""));
    assert_false(takes_local_part_of(65, "a", ""));
    assert_true(takes_local_part_of(64, "a", "\""));
    assert_false(takes_local_part_of(65, "a", "\""));
    assert_true(takes_local_part_of(64, "\\a", "\""));
    assert_false(takes_local_part_of(65, "\\a", "\""));
}

/* The longest quoted local part and the longest domain fit together. */
static void
has_room_for_the_longest(void **state)
{
    char text[500] = "\"";
    struct mail_address a;
    size_t len = 1;

    (void)state;
    for (size_t i = 0; i < 64; i++)
        len += (size_t)snprintf(text + len, sizeof(text) - len, "\\a");
    len += (size_t)snprintf(text + len, sizeof(text) - len, "\"@");
    for (size_t i = 0; i < 126; i++)
        len += (size_t)snprintf(text + len, sizeof(text) - len, "a.");
    (void)snprintf(text + len, sizeof(text) - len, "a");
    assert_true(parses(text, false, &a));
    assert_int_equal(strlen(a.text), MAIL_ADDRESS_MAX);
}

static void
a_search_is_for_an_address_a_domain_or_nobody(void **state)
{
    static const struct {
        const char *text;
        bool or_null;
        const char *pattern; /* NULL: it is none */
    } cases[] = {
        {"a@B.example", false, "a@b.example"},
        {"@B\xc3\xbc"
         "cher.example",
         false, "@xn--bcher-kva.example"},
        {"@localhost", false, "@localhost"},
        {"<>", true, ""},
        {"", true, ""},
        {"<>", false, NULL},
        {"", false, NULL},
        {"@", true, NULL},
        {"@a..b", true, NULL},
        {"a@b@c", true, NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct err err;
        scoped(own_free) char *got =
            mail_address_pattern(cases[i].text, cases[i].or_null, &err);

        if (!got != !cases[i].pattern ||
            (got && strcmp(got, cases[i].pattern) != 0))
            fail_msg("%s gave %s", cases[i].text, got ? got : "nothing");
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_what_the_grammar_allows),
        cmocka_unit_test(refuses_everything_else),
        cmocka_unit_test(refuses_a_nul_anywhere),
        cmocka_unit_test(takes_utf8_where_it_was_asked_for),
        cmocka_unit_test(refuses_utf8_that_is_none_or_hides),
        cmocka_unit_test(holds_the_local_part_to_its_limit),
        cmocka_unit_test(has_room_for_the_longest),
        cmocka_unit_test(a_search_is_for_an_address_a_domain_or_nobody),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
