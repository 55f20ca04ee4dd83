#include "policy/sts.h"

#include "relay/base/buf.h"
#include "relay/base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <strings.h>

#include <cmocka.h>

enum { TXT_MAX = 3 };

/* The id that comes out; "" with the kind of error otherwise. */
static const struct {
    const char *txt[TXT_MAX];
    const char *id;
    enum err_kind kind;
} records[] = {
    {{"v=STSv1; id=20260101T000000;"}, "20260101T000000", ERR_NONE},
    {{"v=STSv1;id=a"}, "a", ERR_NONE},
    {{"v=STSv1; id=a; "}, "a", ERR_NONE},
    {{"v=STSv1;\tid=a\t;\t"}, "a", ERR_NONE},
    {{"v=STSv1; id=a ;; "}, "a", ERR_NONE},
    {{"v=STSv1; x=1; id=a; y.z-0_=!~"}, "a", ERR_NONE},
    {{"v=STSv1; id=12345678901234567890123456789012"},
     "12345678901234567890123456789012",
     ERR_NONE},
    {{"other", "v=STSv1; id=b", "v=spf1 -all"}, "b", ERR_NONE},
    {{"v=STSv2; id=a", "v=STSv1; id=b"}, "b", ERR_NONE},
    {{"v=STSv1 ; id=a", "v=STSv1; id=b"}, "b", ERR_NONE},

    /* RFC 8461 section 3.1: what does not begin right is passed over */
    {{0}, "", ERR_MISSING},
    {{""}, "", ERR_MISSING},
    {{"V=STSv1; id=a"}, "", ERR_MISSING},
    {{"v=stsv1; id=a"}, "", ERR_MISSING},
    {{"v=STSv1"}, "", ERR_MISSING},
    {{" v=STSv1; id=a"}, "", ERR_MISSING},
    {{"v=STSv10; id=a"}, "", ERR_MISSING},
    {{"\"v=STSv1; id=a\""}, "", ERR_MISSING},
    {{"v=TLSRPTv1; id=a"}, "", ERR_MISSING},

    /* exactly one */
    {{"v=STSv1; id=a", "v=STSv1; id=b"}, "", ERR_INPUT},
    {{"v=STSv1; id=a", "v=STSv1; id=a"}, "", ERR_INPUT},
    {{"v=STSv1; id=a", "v=STSv1;"}, "", ERR_INPUT},
    {{"v=STSv1;", "other", "v=STSv1; id=b"}, "", ERR_INPUT},

    /* and well formed */
    {{"v=STSv1;"}, "", ERR_INPUT},
    {{"v=STSv1; "}, "", ERR_INPUT},
    {{"v=STSv1; id="}, "", ERR_INPUT},
    {{"v=STSv1; id"}, "", ERR_INPUT},
    {{"v=STSv1; ID=a"}, "", ERR_INPUT},
    {{"v=STSv1; id =a"}, "", ERR_INPUT},
    {{"v=STSv1; id= a"}, "", ERR_INPUT},
    {{"v=STSv1; id=a-b"}, "", ERR_INPUT},
    {{"v=STSv1; id=a b"}, "", ERR_INPUT},
    {{"v=STSv1; id=\xc3\xa9"}, "", ERR_INPUT},
    {{"v=STSv1; id=123456789012345678901234567890123"}, "", ERR_INPUT},
    {{"v=STSv1; id=a; id=b"}, "", ERR_INPUT},
    {{"v=STSv1; id=a; id=a"}, "", ERR_INPUT},
    {{"v=STSv1; id=a; junk"}, "", ERR_INPUT},
    {{"v=STSv1; id=a; x="}, "", ERR_INPUT},
    {{"v=STSv1; id=a; x=b c"}, "", ERR_INPUT},
    {{"v=STSv1; id=a; x=b=c"}, "", ERR_INPUT},
    {{"v=STSv1; id=a; _x=b"}, "", ERR_INPUT},
    {{"v=STSv1; id=a; x!=b"}, "", ERR_INPUT},
    {{"v=STSv1; id=a; =b"}, "", ERR_INPUT},
    {{"v=STSv1; id=a; a23456789012345678901234567890123=b"}, "", ERR_INPUT},
    {{"v=STSv1; id=a; x=\x01"}, "", ERR_INPUT},
};

static void
reads_exactly_one_record(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(records) / sizeof(records[0]); i++) {
        struct slice txt[TXT_MAX];
        char id[POLICY_STS_ID_MAX + 1];
        struct err err = {0};
        size_t n = 0;

        for (; n < TXT_MAX && records[i].txt[n]; n++)
            txt[n] = slice_of(records[i].txt[n]);
        bool ok = policy_sts_record_parse(txt, n, id, &err);

        if (ok != (records[i].kind == ERR_NONE) || err.kind != records[i].kind)
            fail_msg("%s: kind %d", records[i].txt[0], err.kind);
        assert_string_equal(id, records[i].id);
    }
}

static void
never_takes_nul_for_the_end_of_a_record(void **state)
{
    static const char text[] = "v=STSv1; id=a\0; x=1";
    struct slice txt = {text, sizeof(text) - 1};
    char id[POLICY_STS_ID_MAX + 1];
    struct err err = {0};

    (void)state;
    assert_false(policy_sts_record_parse(&txt, 1, id, &err));
    assert_int_equal(err.kind, ERR_INPUT);
}

/* A cut record is malformed or names a shorter id, and is never read beyond
 * its end: the copy has the exact size, so that ASan sees it. */
static void
reads_a_record_cut_at_every_byte(void **state)
{
    static const char text[] = "v=STSv1; ext=x; id=abc; y=z";

    (void)state;
    for (size_t cut = 0; cut < sizeof(text); cut++) {
        char *copy = mem_array(char, cut + 1);
        struct slice txt = {copy + 1, cut};
        char id[POLICY_STS_ID_MAX + 1];
        struct err err = {0};

        memcpy(copy + 1, text, cut);
        if (policy_sts_record_parse(&txt, 1, id, &err))
            assert_int_equal(strncmp(id, "abc", strlen(id)), 0);
        else
            assert_string_equal(id, "");
        own_free(&copy);
    }
}

#define HEAD "version: STSv1\nmode: enforce\nmax_age: 86400\n"

/* The policy as "mode age pattern...", or NULL when it is malformed. */
static const struct {
    const char *text;
    const char *want;
} policies[] = {
    {HEAD "mx: mx.example.com\n", "enforce 86400 mx.example.com"},
    {"version: STSv1\r\nmode: testing\r\nmx: a.example\r\nmx: *.b.example\r\n"
     "max_age: 1\r\n",
     "testing 1 a.example *.b.example"},
    {"mx: a.example\nmax_age: 1\nmode: enforce\nversion: STSv1",
     "enforce 1 a.example"},
    {"version:STSv1\nmode:enforce \t\nmax_age:\t1\nmx:a.example",
     "enforce 1 a.example"},
    {" version : STSv1\nmode\t: enforce\nmax_age: 1\nmx: a.example",
     "enforce 1 a.example"},
    {"\n\n" HEAD "\r\n  \nmx: a.example\n\n\r\n", "enforce 86400 a.example"},
    {"version: STSv1\nmode: none\nmax_age: 60\n", "none 60"},
    {"version: STSv1\nmode: none\nmax_age: 60\nmx: a.example\n",
     "none 60 a.example"},

    /* unknown fields, and later ones of the same name */
    {HEAD "mx: a.example\nnote: caf\xc3\xa9 a=b; c:d\nx-1.y_: \n",
     "enforce 86400 a.example"},
    {HEAD "mx: a.example\nmode: none\nversion: STSv2\nmax_age: x\n",
     "enforce 86400 a.example"},
    {HEAD "mx: a.example\nmx: a.example\n",
     "enforce 86400 a.example a.example"},

    /* patterns */
    {HEAD "mx: X.EXAMPLE.\n", "enforce 86400 x.example"},
    {HEAD "mx: *.X.Example.\n", "enforce 86400 *.x.example"},
    {HEAD "mx: *.com\n", "enforce 86400 *.com"},
    {HEAD "mx: xn--bcher-kva.example\n", "enforce 86400 xn--bcher-kva.example"},
    {HEAD "mx:\n", NULL},
    {HEAD "mx: *\n", NULL},
    {HEAD "mx: *.\n", NULL},
    {HEAD "mx: .\n", NULL},
    {HEAD "mx: *.*.x\n", NULL},
    {HEAD "mx: m*.x.example\n", NULL},
    {HEAD "mx: *m.x.example\n", NULL},
    {HEAD "mx: a.*.x\n", NULL},
    {HEAD "mx: **.x\n", NULL},
    {HEAD "mx: .x.example\n", NULL},
    {HEAD "mx: a..example\n", NULL},
    {HEAD "mx: b\xc3\xbc"
          "cher.example\n",
     NULL},
    {HEAD "mx: 127.0.0.1\n", NULL},
    {HEAD "mx: *.0.0.1\n", NULL},
    {HEAD "mx: [127.0.0.1]\n", NULL},
    {HEAD "mx: a.example b.example\n", NULL},
    {HEAD "mx: a.example, b.example\n", NULL},
    {HEAD "mx: a.example:25\n", NULL},
    {HEAD "mx: good.example\nmx: bad..example\n", NULL},

    /* max_age; RFC 8461 section 3.2 */
    {"version: STSv1\nmode: none\nmax_age: 0\n", "none 0"},
    {"version: STSv1\nmode: none\nmax_age: 31557600\n", "none 31557600"},
    {"version: STSv1\nmode: none\nmax_age: 31557601\n", "none 31557600"},
    {"version: STSv1\nmode: none\nmax_age: 99999999999999999999\n",
     "none 31557600"},
    {"version: STSv1\nmode: none\nmax_age: 00000000000000000000060\n",
     "none 60"},
    {"version: STSv1\nmode: none\nmax_age: -1\n", NULL},
    {"version: STSv1\nmode: none\nmax_age: +1\n", NULL},
    {"version: STSv1\nmode: none\nmax_age: 1e9\n", NULL},
    {"version: STSv1\nmode: none\nmax_age: 1 2\n", NULL},
    {"version: STSv1\nmode: none\nmax_age: 0x1\n", NULL},
    {"version: STSv1\nmode: none\nmax_age:\n", NULL},
    {"version: STSv1\nmode: none\n", NULL},

    /* version and mode */
    {"mode: none\nmax_age: 1\n", NULL},
    {"version: STSv2\nmode: none\nmax_age: 1\n", NULL},
    {"version: STSv2\nversion: STSv1\nmode: none\nmax_age: 1\n", NULL},
    {"version: stsv1\nmode: none\nmax_age: 1\n", NULL},
    {"Version: STSv1\nmode: none\nmax_age: 1\n", NULL},
    {"version: STSv1\nmax_age: 1\nmx: a.example\n", NULL},
    {"version: STSv1\nmode: Enforce\nmax_age: 1\nmx: a.example\n", NULL},
    {"version: STSv1\nmode: foo\nmax_age: 1\nmx: a.example\n", NULL},
    {"version: STSv1\nmode: foo\nmode: none\nmax_age: 1\n", NULL},
    {"version: STSv1\nmode:\nmax_age: 1\nmx: a.example\n", NULL},
    {HEAD, NULL}, /* enforce without mx */
    {"version: STSv1\nmode: testing\nmax_age: 1\n", NULL},

    /* lines */
    {"", NULL},
    {"\n", NULL},
    {"version: STSv1\rmode: none\rmax_age: 1\r", NULL},
    {"version: STSv1\nmode: none\nmax_age: 1\r", NULL},
    {"version: STSv1\r\r\nmode: none\nmax_age: 1\n", NULL},
    {"\xef\xbb\xbfversion: STSv1\nmode: none\nmax_age: 1\n", NULL},
    {"version: STSv1\nmode: none\nmax_age: 1\njunk\n", NULL},
    {"version: STSv1\nmode: none\nmax_age: 1\n: junk\n", NULL},
    {"version: STSv1\nmode: none\nmax_age: 1\nju nk: x\n", NULL},
    {"version: STSv1\nmode: none\nmax_age: 1\n-junk: x\n", NULL},
    {"version: STSv1\nmode: none\nmax_age: 1\nx: \x01\n", NULL},
    {"version: STSv1\nmode: none\nmax_age: 1\nx: \x7f\n", NULL},
    {"version: STSv1\nmode: none\nmax_age: 1\nx: \xff\n", NULL},
    {"version: STSv1\nmode: none\nmax_age: 1\nx: \xc0\x80\n", NULL},
    {"<html><body>404</body></html>", NULL},
    {"{\"version\": \"STSv1\", \"mode\": \"none\", \"max_age\": 1}", NULL},
};

static const char *
describe(const struct policy_sts *p, struct buf *out)
{
    buf_printf(out, "%s %lld", policy_sts_mode_name(p->mode),
               (long long)p->max_age_s);
    for (size_t i = 0; i < p->mx_count; i++)
        buf_printf(out, " %s", p->mx[i]);
    return buf_text(out);
}

static void
reads_policies(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(policies) / sizeof(policies[0]); i++) {
        scoped(buf_free) struct buf got = {0};
        struct policy_sts p;
        struct err err = {0};

        if (!policy_sts_parse(slice_of(policies[i].text), &p, &err)) {
            if (policies[i].want)
                fail_msg("%s: %s", policies[i].text, err.text);
            assert_int_equal(err.kind, ERR_INPUT);
            continue;
        }
        if (!policies[i].want)
            fail_msg("accepted: %s", policies[i].text);
        assert_string_equal(describe(&p, &got), policies[i].want);
        policy_sts_done(&p);
    }
}

static void
names_the_line_that_is_wrong(void **state)
{
    struct policy_sts p;
    struct err err = {0};

    (void)state;
    assert_false(policy_sts_parse(slice_of("version: STSv1\n\nmode: Enforce\n"),
                                  &p, &err));
    assert_non_null(strstr(err.text, "line 3: "));
}

static void
refuses_nul_in_a_policy(void **state)
{
    static const char text[] = HEAD "mx: a.example\nx: \0\n";
    struct policy_sts p;
    struct err err = {0};

    (void)state;
    assert_false(
        policy_sts_parse((struct slice){text, sizeof(text) - 1}, &p, &err));
}

static void
reads_a_policy_cut_at_every_byte(void **state)
{
    static const char text[] =
        "version: STSv1\r\nmode: enforce\r\nmx: *.example.com\r\n"
        "note: \xe2\x82\xac\r\nmax_age: 86400\r\n";

    (void)state;
    for (size_t cut = 0; cut < sizeof(text); cut++) {
        char *copy = mem_array(char, cut + 1);
        struct policy_sts p;
        struct err err = {0};

        memcpy(copy + 1, text, cut);
        if (policy_sts_parse((struct slice){copy + 1, cut}, &p, &err)) {
            /* only within the digits of the last line */
            assert_true(p.max_age_s <= 86400 && p.mx_count == 1);
            policy_sts_done(&p);
        }
        own_free(&copy);
    }
}

static bool
parses_with_mx_lines(size_t count)
{
    scoped(buf_free) struct buf text = {0};
    struct policy_sts p;
    struct err err = {0};

    buf_add_text(&text, HEAD);
    for (size_t i = 0; i < count; i++)
        buf_printf(&text, "mx: mx%zu.example\n", i);
    if (!policy_sts_parse(buf_slice(&text), &p, &err))
        return false;
    assert_int_equal(p.mx_count, count);
    policy_sts_done(&p);
    return true;
}

static void
holds_to_its_limits(void **state)
{
    scoped(buf_free) struct buf text = {0};
    struct policy_sts p;
    struct err err = {0};

    (void)state;
    assert_true(parses_with_mx_lines(POLICY_STS_MX_MAX));
    assert_false(parses_with_mx_lines(POLICY_STS_MX_MAX + 1));
    buf_add_text(&text, HEAD "mx: a.example\n");
    while (text.len < POLICY_STS_TEXT_MAX)
        buf_add_byte(&text, '\n');
    assert_true(policy_sts_parse(buf_slice(&text), &p, &err));
    policy_sts_done(&p);
    buf_add_byte(&text, '\n');
    assert_false(policy_sts_parse(buf_slice(&text), &p, &err));
}

static const struct {
    const char *pattern, *host;
    bool matches;
} matches[] = {
    {"mx.example.com", "mx.example.com", true},
    {"mx.example.com", "MX.Example.COM", true},
    {"mx.example.com", "mx.example.com.", true},
    {"mx.example.com", "mx.example.co", false},
    {"mx.example.com", "mx.example.community", false},
    {"mx.example.com", "a.mx.example.com", false},
    {"mx.example.com", "example.com", false},
    {"mx.example.com", "", false},
    {"*.example.com", "mx.example.com", true},
    {"*.example.com", "MX.EXAMPLE.COM.", true},
    {"*.example.com", "a.b.example.com", false},
    {"*.example.com", "example.com", false},
    {"*.example.com", ".example.com", false},
    {"*.example.com", "xexample.com", false},
    {"*.example.com", "mx.example.com.evil.example", false},
    {"*.example.com", "mxexample.com", false},
    {"*.example.com", "*.example.com", true},
    {"*.example.com", "", false},
    {"*.example.com", ".", false},
    {"*.com", "example.com", true},
    {"*.com", "com", false},
};

static void
a_wildcard_stands_for_exactly_one_label(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(matches) / sizeof(matches[0]); i++) {
        char *mx[] = {"unused.example", mem_text(matches[i].pattern)};
        struct policy_sts p = {.mx = mx, .mx_count = 2};

        if (policy_sts_has_mx(&p, matches[i].host) != matches[i].matches)
            fail_msg("%s, %s", matches[i].pattern, matches[i].host);
        own_free(&mx[1]);
    }
}

static void
no_pattern_matches_nothing(void **state)
{
    struct policy_sts p = {0};

    (void)state;
    assert_false(policy_sts_has_mx(&p, "mx.example.com"));
    assert_false(policy_sts_has_mx(&p, ""));
}

/* A second implementation, the other way round: from the pattern to the only
 * string that the host could be. */
static bool
reference_matches(const char *pattern, const char *host)
{
    size_t label = strcspn(host, ".");
    char only[600];

    snprintf(only, sizeof(only), "%.*s%s", pattern[0] == '*' ? (int)label : 0,
             host, pattern + (pattern[0] == '*'));
    return (pattern[0] != '*' || label > 0) && strcasecmp(only, host) == 0;
}

/* All patterns and hosts of up to five characters out of "a", "B" and ".". */
static size_t
spell(size_t number, char out[8])
{
    size_t len = 0;

    for (; number > 0 && len < 7; number /= 4)
        out[len++] = "aB.a"[number % 4];
    out[len] = '\0';
    return len;
}

static void
agrees_with_the_reference_on_all_short_names(void **state)
{
    enum { ALL = 4 * 4 * 4 * 4 * 4 };
    size_t hits = 0;

    (void)state;
    for (size_t i = 0; i < 2 * ALL * ALL; i++) {
        char text[16] = "*.", host[8];
        char *mx = text + (i & 1 ? 0 : 2);
        struct policy_sts p = {.mx = &mx, .mx_count = 1};
        size_t len = spell(i / 2 % ALL, host);

        /* a parsed pattern has no empty label, and the name's dot is cut */
        spell(i / 2 / ALL, text + 2);
        if (len == 0 || host[len - 1] == '.' || !text[2] || text[2] == '.' ||
            strstr(text + 2, ".."))
            continue;
        bool got = policy_sts_has_mx(&p, host);

        if (got != reference_matches(mx, host))
            fail_msg("%s, %s", mx, host);
        hits += got;
    }
    assert_true(hits > 1000);
}

static void
copies_an_entry_with_its_strings(void **state)
{
    struct policy_sts_entry copy, entry = {
                                      .domain = {"example.com"},
                                      .id = "1",
                                      .text = mem_text("text"),
                                      .expires_ms = 5,
                                      .failure = mem_text("failure"),
                                  };

    (void)state;
    policy_sts_entry_copy(&entry, &copy);
    policy_sts_entry_done(&entry);
    assert_null(entry.text);
    assert_string_equal(copy.text, "text");
    assert_string_equal(copy.failure, "failure");
    assert_string_equal(copy.domain.text, "example.com");
    assert_int_equal(copy.expires_ms, 5);
    policy_sts_entry_done(&copy);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_exactly_one_record),
        cmocka_unit_test(never_takes_nul_for_the_end_of_a_record),
        cmocka_unit_test(reads_a_record_cut_at_every_byte),
        cmocka_unit_test(reads_policies),
        cmocka_unit_test(names_the_line_that_is_wrong),
        cmocka_unit_test(refuses_nul_in_a_policy),
        cmocka_unit_test(reads_a_policy_cut_at_every_byte),
        cmocka_unit_test(holds_to_its_limits),
        cmocka_unit_test(a_wildcard_stands_for_exactly_one_label),
        cmocka_unit_test(no_pattern_matches_nothing),
        cmocka_unit_test(agrees_with_the_reference_on_all_short_names),
        cmocka_unit_test(copies_an_entry_with_its_strings),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
