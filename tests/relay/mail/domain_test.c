#include "relay/mail/domain.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

typedef bool parse_fn(struct slice text, struct mail_domain *out,
                      struct err *err);

static void
check(parse_fn *parse, const char *in, const char *want)
{
    struct mail_domain d;
    struct err err = {0};
    bool ok = parse(slice_of(in), &d, &err);

    if (ok != (want != NULL))
        fail_msg("%s: %s", in, ok ? d.text : err.text);
    assert_string_equal(d.text, want ? want : "");
    if (!ok)
        assert_int_equal(err.kind, ERR_INPUT);
}

/* A-labels as RFC 5890 section 2.3.2.1 has them. */
static void
keeps_the_a_label_form(void **state)
{
    static const struct {
        const char *in, *want;
    } cases[] = {
        {"example.com", "example.com"},
        {"EXAMPLE.Com.", "example.com"},
        {"_25._tcp.mx.example", "_25._tcp.mx.example"},
        {"a--b.example", "a--b.example"},
        {"1.example", "1.example"},
        {"b\xc3\xbc"
         "cher.example",
         "xn--bcher-kva.example"},
        {"B\xc3\x9c"
         "CHER.example",
         "xn--bcher-kva.example"},
        {"XN--BCHER-KVA.example", "xn--bcher-kva.example"},
        /* Non-transitional: sharp s stays itself (RFC 5894 section 7.2). */
        {"fa\xc3\x9f.example", "xn--fa-hia.example"},
        {"\xe2\x93\x94xample.com", "example.com"},
        {"a\xe3\x80\x82"
         "example",
         "a.example"},
        {"\xe4\xbe\x8b\xe3\x81\x88.\xe3\x83\x86\xe3\x82\xb9\xe3\x83\x88",
         "xn--r8jz45g.xn--zckzah"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        check(mail_domain_parse, cases[i].in, cases[i].want);
}

static void
refuses_what_is_no_mail_domain(void **state)
{
    static const char *const cases[] = {
        "",
        ".",
        "..",
        "a..",
        ".a.b",
        "a..b",
        "localhost",
        "com.",
        "-a.b",
        "a-.b",
        "a.-b",
        "a.b-",
        "a b.c",
        "a@b.c",
        "a/b.c",
        "a\\b.c",
        "*.b.c",
        "a.b\r\n",
        "\ta.b",
        "[1.2.3.4]",
        "1.2.3.4",
        "a.1",
        "a.b:25",
        "a,b.c",
        "\xff.example",
        "xn--.example",
        "xn--a.example",
        "xn--bcher-kvb.example",
        "xn--ls8h-.example",
        "\xe2\x84\x80.example",
        "a\xe2\x80\xae.example",
        "\xc2\xad.example",
        "\xe2\x91\xa0.\xe2\x91\xa0",
        "a.\xef\xbc\x8e",
        "\xe3\x80\x82\xe3\x80\x82",
        "b\xc3\xbc.example..",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        check(mail_domain_parse, cases[i], NULL);
}

static void
takes_host_names_of_one_label(void **state)
{
    (void)state;
    check(mail_domain_parse_host, "MX", "mx");
    check(mail_domain_parse_host, "mx.example.", "mx.example");
    check(mail_domain_parse_host, "r3---sn.example", "r3---sn.example");
    check(mail_domain_parse_host, "", NULL);
    check(mail_domain_parse_host, ".", NULL);
    check(mail_domain_parse_host, "1", NULL);
    check(mail_domain_parse_host, "127.0.0.1", NULL);
    check(mail_domain_parse_host,
          "b\xc3\xbc"
          "cher.example",
          NULL);
}

static bool
takes_label_of(size_t n)
{
    char text[100];
    struct mail_domain d;
    struct err err;

    memset(text, 'a', n);
    memcpy(text + n, ".b", 2);
    return mail_domain_parse((struct slice){text, n + 2}, &d, &err);
}

static bool
takes_name_of(size_t n, const char *end)
{
    char text[1200];
    struct mail_domain d;
    struct err err;
    size_t len = n + strlen(end);

    for (size_t i = 0; i < n; i++)
        text[i] = 'a';
    for (size_t i = 1; i + 1 < n; i += 2)
        text[i] = '.';
    memcpy(text + n, end, strlen(end));
    return mail_domain_parse((struct slice){text, len}, &d, &err);
}

static void
holds_labels_and_names_to_their_limits(void **state)
{
    (void)state;
    assert_true(takes_label_of(63));
    assert_false(takes_label_of(64));
    assert_true(takes_name_of(253, "")); /* 127 labels */
    assert_true(takes_name_of(253, "."));
    assert_false(takes_name_of(254, ""));
    assert_false(takes_name_of(255, ""));
    assert_false(takes_name_of(1100, ""));
    assert_false(takes_name_of(1100, "\xc3\xbc"));
    assert_false(takes_name_of(253, "\xc3\xbc"));
}

static void
refuses_a_nul_anywhere(void **state)
{
    struct mail_domain d;
    struct err err;

    (void)state;
    assert_false(mail_domain_parse((struct slice){"a.b\0c", 5}, &d, &err));
    assert_false(
        mail_domain_parse((struct slice){"\xc3\xbc.b\0c", 6}, &d, &err));
    assert_false(mail_domain_parse_host((struct slice){"a\0", 2}, &d, &err));
    assert_false(mail_domain_parse((struct slice){0}, &d, &err));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_the_a_label_form),
        cmocka_unit_test(refuses_what_is_no_mail_domain),
        cmocka_unit_test(takes_host_names_of_one_label),
        cmocka_unit_test(holds_labels_and_names_to_their_limits),
        cmocka_unit_test(refuses_a_nul_anywhere),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
