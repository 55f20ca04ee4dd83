#include "policy/tlsrpt_record.h"

#include "relay/base/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static bool
parse_one(const char *text, struct policy_tlsrpt_record *out, struct err *err)
{
    struct slice txt = slice_of(text);

    return policy_tlsrpt_record_parse(&txt, 1, out, err);
}

/* All places, as "mailto:a@b" and "https://host:port/path", by blanks. */
static void
show(const struct policy_tlsrpt_record *r, char *out, size_t size)
{
    out[0] = '\0';
    for (size_t i = 0; i < r->count; i++) {
        const struct policy_tlsrpt_rua *u = &r->rua[i];
        size_t len = strlen(out);

        if (u->scheme == POLICY_TLSRPT_MAILTO)
            (void)snprintf(out + len, size - len, "%smailto:%s", i ? " " : "",
                           u->address.text);
        else
            (void)snprintf(out + len, size - len, "%shttps://%s:%u%s",
                           i ? " " : "", u->host.text, u->port, u->path);
    }
}

static void
places_are_read(void **state)
{
    static const struct {
        const char *text, *places;
    } rows[] = {
        {"v=TLSRPTv1; rua=mailto:tls@example.com", "mailto:tls@example.com"},
        {"v=TLSRPTv1;rua=mailto:tls@example.com;", "mailto:tls@example.com"},
        {"v=TLSRPTv1; rua=https://R.example.com/v1/x?a=b",
         "https://r.example.com:443/v1/x?a=b"},
        {"v=TLSRPTv1; rua=https://r.example.com", "https://r.example.com:443/"},
        {"v=TLSRPTv1; rua=https://r.example.com:8443?q",
         "https://r.example.com:8443/?q"},
        {"v=TLSRPTv1; rua=https://r.example.com/a#b",
         "https://r.example.com:443/a"},
        {"v=TLSRPTv1; rua=mailto:a@b.example , https://c.example/",
         "mailto:a@b.example https://c.example:443/"},
        {"v=TLSRPTv1; rua=MAILTO:%22a%2Cb%21c%22@b.example",
         "mailto:\"a,b!c\"@b.example"},
        {"v=TLSRPTv1; ext=1; rua=mailto:a@b.example; other=2",
         "mailto:a@b.example"},
        /* once is enough */
        {"v=TLSRPTv1; rua=mailto:a@b.example,mailto:a@b.example",
         "mailto:a@b.example"},
        /* what can't be used is passed over */
        {"v=TLSRPTv1; rua=ftp://c.example/,mailto:a@b.example",
         "mailto:a@b.example"},
        {"v=TLSRPTv1; rua=http://c.example/,mailto:a@b.example",
         "mailto:a@b.example"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct policy_tlsrpt_record r;
        struct err err;
        char seen[2000];

        if (!parse_one(rows[i].text, &r, &err))
            fail_msg("%s: %s", rows[i].text, err.text);
        show(&r, seen, sizeof(seen));
        assert_string_equal(seen, rows[i].places);
    }
}

static void
records_without_a_usable_place_are_refused(void **state)
{
    static const struct {
        const char *text;
        enum err_kind kind;
    } rows[] = {
        {"", ERR_MISSING},
        {"v=TLSRPTv1", ERR_MISSING},
        {"v=TLSRPTv2; rua=mailto:a@b.example", ERR_MISSING},
        {"V=TLSRPTv1; rua=mailto:a@b.example", ERR_MISSING},
        {" v=TLSRPTv1; rua=mailto:a@b.example", ERR_MISSING},
        {"v=TLSRPTv1 ; rua=mailto:a@b.example", ERR_MISSING},
        {"v=STSv1; id=1", ERR_MISSING},
        {"v=TLSRPTv1;", ERR_INPUT},
        {"v=TLSRPTv1; rua=", ERR_INPUT},
        {"v=TLSRPTv1; rua", ERR_INPUT},
        {"v=TLSRPTv1; RUA=mailto:a@b.example", ERR_INPUT},
        {"v=TLSRPTv1; rua=mailto:", ERR_INPUT},
        {"v=TLSRPTv1; rua=mailto:a", ERR_INPUT},
        {"v=TLSRPTv1; rua=mailto:a@[192.0.2.1]", ERR_INPUT},
        {"v=TLSRPTv1; rua=mailto:a%0d%0aRCPT TO:<x@y.example>@b.example",
         ERR_INPUT},
        {"v=TLSRPTv1; rua=mailto:a@b.example%0d%0aX: y", ERR_INPUT},
        {"v=TLSRPTv1; rua=mailto:a%@b.example", ERR_INPUT},
        {"v=TLSRPTv1; rua=mailto:a%4", ERR_INPUT},
        {"v=TLSRPTv1; rua=mailto:a%zz@b.example", ERR_INPUT},
        {"v=TLSRPTv1; rua=mailto:a%00@b.example", ERR_INPUT},
        {"v=TLSRPTv1; rua=https://127.0.0.1/", ERR_INPUT},
        {"v=TLSRPTv1; rua=https://[::1]/", ERR_INPUT},
        {"v=TLSRPTv1; rua=https://2130706433/", ERR_INPUT},
        {"v=TLSRPTv1; rua=https://localhost/", ERR_INPUT},
        {"v=TLSRPTv1; rua=https:///x", ERR_INPUT},
        {"v=TLSRPTv1; rua=https://u@c.example/", ERR_INPUT},
        {"v=TLSRPTv1; rua=https://u:p@c.example/", ERR_INPUT},
        {"v=TLSRPTv1; rua=https://c.example:0/", ERR_INPUT},
        {"v=TLSRPTv1; rua=https://c.example:65536/", ERR_INPUT},
        {"v=TLSRPTv1; rua=https://c.example:x/", ERR_INPUT},
        {"v=TLSRPTv1; rua=https://c.example/a b", ERR_INPUT},
        {"v=TLSRPTv1; rua=https://c.example/a\r\nX: y", ERR_INPUT},
        {"v=TLSRPTv1; rua=https://c.example/\xc3\xa4", ERR_INPUT},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct policy_tlsrpt_record r;
        struct err err = {0};

        if (parse_one(rows[i].text, &r, &err))
            fail_msg("taken: %s", rows[i].text);
        assert_int_equal(err.kind, rows[i].kind);
        assert_int_equal(r.count, 0);
    }
}

/* RFC 6068's header fields would let a stranger address our mail. */
static void
fields_of_a_mailto_are_dropped(void **state)
{
    struct policy_tlsrpt_record r;
    struct err err;

    (void)state;
    assert_true(parse_one("v=TLSRPTv1; rua=mailto:a@b.example?cc=c@d.example",
                          &r, &err));
    assert_int_equal(r.count, 1);
    assert_string_equal(r.rua[0].address.text, "a@b.example");
}

static void
only_a_few_places_are_kept(void **state)
{
    scoped(buf_free) struct buf text = {0};
    struct policy_tlsrpt_record r;
    struct err err;

    (void)state;
    buf_add_text(&text, "v=TLSRPTv1; rua=mailto:a0@b.example");
    for (int i = 1; i < 100; i++)
        buf_printf(&text, ",mailto:a%d@b.example", i);
    assert_true(parse_one(buf_text(&text), &r, &err));
    assert_int_equal(r.count, POLICY_TLSRPT_RUAS_MAX);
}

static void
a_path_has_a_limit(void **state)
{
    scoped(buf_free) struct buf text = {0};
    struct policy_tlsrpt_record r;
    struct err err;

    (void)state;
    buf_add_text(&text, "v=TLSRPTv1; rua=https://c.example/");
    for (int i = 1; i < POLICY_TLSRPT_PATH_MAX - 1; i++)
        buf_add_byte(&text, 'x');
    assert_true(parse_one(buf_text(&text), &r, &err));
    assert_int_equal(strlen(r.rua[0].path), POLICY_TLSRPT_PATH_MAX - 1);
    buf_add_byte(&text, 'x');
    assert_false(parse_one(buf_text(&text), &r, &err));
}

static void
exactly_one_record_counts(void **state)
{
    const struct slice two[] = {slice_of("v=TLSRPTv1; rua=mailto:a@b.example"),
                                slice_of("v=TLSRPTv1; rua=mailto:c@b.example")};
    const struct slice mixed[] = {
        slice_of("other=text"), slice_of("v=TLSRPTv1; rua=mailto:a@b.example")};
    struct policy_tlsrpt_record r;
    struct err err;

    (void)state;
    assert_false(policy_tlsrpt_record_parse(two, 2, &r, &err));
    assert_int_equal(err.kind, ERR_MISSING);
    assert_true(policy_tlsrpt_record_parse(mixed, 2, &r, &err));
    assert_false(policy_tlsrpt_record_parse(NULL, 0, &r, &err));
}

/* No cut may give a place that the whole does not have, but for shorter
 * ones. */
static void
cut_anywhere_it_is_read_or_refused(void **state)
{
    static const char whole[] =
        "v=TLSRPTv1; rua=mailto:a%21b@b.example,https://c.example:8443/x?y";

    (void)state;
    for (size_t i = 0; i < sizeof(whole); i++) {
        struct slice txt = {whole, i};
        struct policy_tlsrpt_record r;
        struct err err;

        if (policy_tlsrpt_record_parse(&txt, 1, &r, &err))
            assert_in_range(r.count, 1, 2);
        else
            assert_int_equal(r.count, 0);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(places_are_read),
        cmocka_unit_test(records_without_a_usable_place_are_refused),
        cmocka_unit_test(fields_of_a_mailto_are_dropped),
        cmocka_unit_test(only_a_few_places_are_kept),
        cmocka_unit_test(a_path_has_a_limit),
        cmocka_unit_test(exactly_one_record_counts),
        cmocka_unit_test(cut_anywhere_it_is_read_or_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
