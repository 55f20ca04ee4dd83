#include "tests/relay/base/dns_message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

enum { OK = 0x8180, OK_AD = 0x81A0, NXDOMAIN = 0x8183 };

/* Reads a copy of exactly its length, so that a read behind it is seen. */
static struct dns_answer
answer_to(struct buf *b, const char *name, enum dns_type type)
{
    struct dns_answer a;
    uint8_t *copy = malloc(b->len);

    assert_non_null(copy);
    memcpy(copy, b->p, b->len);
    dns_answer_read(copy, b->len, name, type, &a);
    free(copy);
    buf_free(b);
    if (a.outcome == DNS_FAILED) {
        assert_string_not_equal(a.why, "");
        assert_int_equal(a.count, 0);
        assert_null(a.records);
        assert_false(a.authentic);
    }
    return a;
}

static void
check_fails(struct buf *b, enum dns_type type, const char *why)
{
    struct dns_answer a = answer_to(b, "x.example", type);

    assert_int_equal(a.outcome, DNS_FAILED);
    assert_string_equal(a.why, why);
    dns_answer_done(&a);
}

static void
reads_addresses(void **state)
{
    struct buf b = {0};
    struct dns_answer a;

    (void)state;
    put_question(&b, OK_AD, "X.Example", DNS_A);
    put_record(&b, ANSWER, "*c00c", DNS_A, 300, "c0000201");
    put_record(&b, ANSWER, "x.EXAMPLE", DNS_A, 200, "c0000202");
    put_record(&b, ANSWER, "other.example", DNS_A, 1, "c0000203");
    put_record(&b, ANSWER, "*c00c", DNS_AAAA, 1,
               "20010db8000000000000000000000001");
    put_record(&b, ADDITIONAL, "", 41, 0, "");
    a = answer_to(&b, "x.exAMPLE.", DNS_A);
    assert_int_equal(a.outcome, DNS_FOUND);
    assert_true(a.authentic);
    assert_int_equal(a.count, 2);
    assert_int_equal(a.ttl_s, 200);
    assert_int_equal(a.records[0].ttl_s, 300);
    assert_int_equal(ntohl(a.records[1].a.s_addr), 0xC0000202);
    assert_string_equal(a.name, "x.example");
    assert_string_equal(a.canonical, "x.example");
    dns_answer_done(&a);

    put_question(&b, OK, "x.example", DNS_AAAA);
    put_record(&b, ANSWER, "*c00c", DNS_AAAA, 1,
               "20010db8000000000000000000000001");
    a = answer_to(&b, "x.example", DNS_AAAA);
    assert_int_equal(a.count, 1);
    assert_int_equal(a.records[0].aaaa.s6_addr[15], 1);
    assert_false(a.authentic);
    dns_answer_done(&a);
}

static void
takes_no_record_of_another_class(void **state)
{
    struct buf b = {0};
    struct dns_answer a;

    (void)state;
    put_question(&b, OK, "x.example", DNS_A);
    put_record(&b, ANSWER, "*c00c", DNS_A, 1, "c0000201");
    b.p[b.len - 11] = 3; /* CH */
    a = answer_to(&b, "x.example", DNS_A);
    assert_int_equal(a.outcome, DNS_NODATA);
    dns_answer_done(&a);
}

static void
follows_cnames_in_any_order(void **state)
{
    struct buf b = {0};
    struct dns_answer a;

    (void)state;
    put_question(&b, OK, "x.example", DNS_A);
    put_record(&b, ANSWER, "z.example", DNS_A, 300, "c0000201");
    put_cname(&b, "Y.example", 7, "z.example");
    put_cname(&b, "x.example", 90, "y.EXAMPLE");
    a = answer_to(&b, "x.example", DNS_A);
    assert_int_equal(a.outcome, DNS_FOUND);
    assert_int_equal(a.count, 1);
    assert_int_equal(a.ttl_s, 7);
    assert_string_equal(a.name, "x.example");
    assert_string_equal(a.canonical, "z.example");
    dns_answer_done(&a);

    put_question(&b, OK, "x.example", DNS_CNAME);
    put_cname(&b, "x.example", 90, "y.example");
    a = answer_to(&b, "x.example", DNS_CNAME);
    assert_int_equal(a.outcome, DNS_FOUND);
    assert_string_equal(a.canonical, "y.example");
    dns_answer_done(&a);
}

static void
chain_of(struct buf *b, unsigned links)
{
    char from[40], to[40] = "x.example";

    put_question(b, OK, "x.example", DNS_A);
    for (unsigned i = 0; i < links; i++) {
        memcpy(from, to, sizeof(to));
        memcpy(to, "xa.example", 11);
        to[1] = (char)('a' + i);
        put_cname(b, from, 300, to);
    }
    put_record(b, ANSWER, to, DNS_A, 300, "c0000201");
}

static void
follows_so_many_cnames_and_no_loop(void **state)
{
    static const char *const bad[] = {"", "*0161", "*c0ff", "*03612062 00",
                                      "*0161 00 00"};
    struct buf b = {0};
    struct dns_answer a;

    (void)state;
    chain_of(&b, DNS_CNAMES_MAX);
    a = answer_to(&b, "x.example", DNS_A);
    assert_int_equal(a.outcome, DNS_FOUND);
    dns_answer_done(&a);
    chain_of(&b, DNS_CNAMES_MAX + 1);
    check_fails(&b, DNS_A, "chain of CNAMEs too long, or a loop");
    put_question(&b, OK, "x.example", DNS_A);
    put_cname(&b, "x.example", 300, "x.example");
    check_fails(&b, DNS_A, "chain of CNAMEs too long, or a loop");
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        put_question(&b, OK, "x.example", DNS_A);
        put_cname(&b, "x.example", 300, bad[i]);
        check_fails(&b, DNS_A, "malformed CNAME");
    }
}

static void
keeps_mx_hosts_that_are_hosts(void **state)
{
    static const char *const odd[] = {
        "localhost",    "mx.localhost", "127.0.0.1",    "1",
        "-a.example",   "a-.example",   "*03610062 00", "*04610d0a62 00",
        "*03612062 00", "*03612262 00", "*03615c62 00", "*03612e62 00",
        "*02c3bc 00",
    };
    struct buf b = {0};
    struct dns_answer a;

    (void)state;
    put_question(&b, OK, "x.example", DNS_MX);
    put_mx(&b, "*c00c", 20, "MX2.example");
    put_mx(&b, "*c00c", 10, "mx1.example");
    put_mx(&b, "*c00c", 5, "mx2.Example");
    put_mx(&b, "*c00c", 6, "mx2.example");
    put_mx(&b, "*c00c", 30, "*03 6d7833 c00e");
    for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++)
        put_mx(&b, "*c00c", 1, odd[i]);
    a = answer_to(&b, "x.example", DNS_MX);
    assert_int_equal(a.outcome, DNS_FOUND);
    assert_int_equal(a.count, 3);
    assert_string_equal(a.records[0].mx.host, "mx2.example");
    assert_int_equal(a.records[0].mx.preference, 5);
    assert_string_equal(a.records[1].mx.host, "mx1.example");
    assert_int_equal(a.records[1].mx.preference, 10);
    assert_string_equal(a.records[2].mx.host, "mx3.example");
    dns_answer_done(&a);

    /* None left: the domain has MX records, so its address is no way round. */
    put_question(&b, OK, "x.example", DNS_MX);
    put_mx(&b, "*c00c", 1, "localhost");
    a = answer_to(&b, "x.example", DNS_MX);
    assert_int_equal(a.outcome, DNS_FOUND);
    assert_int_equal(a.count, 0);
    dns_answer_done(&a);
}

static void
reads_the_names_behind_an_address(void **state)
{
    struct buf b = {0};
    struct dns_answer a;

    (void)state;
    put_question(&b, OK, "1.2.0.192.in-addr.arpa", DNS_PTR);
    put_record(&b, ANSWER, "*c00c", DNS_PTR, 60,
               "05 52656c6179 07 6578616d706c65 00");
    put_record(&b, ANSWER, "*c00c", DNS_PTR, 60, "09 6c6f63616c686f7374 00");
    put_record(&b, ANSWER, "*c00c", DNS_PTR, 60, "03 612062 02 7878 00");
    a = answer_to(&b, "1.2.0.192.in-addr.arpa", DNS_PTR);
    assert_int_equal(a.outcome, DNS_FOUND);
    assert_int_equal(a.count, 1);
    assert_string_equal(a.records[0].ptr.host, "relay.example");
    dns_answer_done(&a);
    put_question(&b, OK, "x.example", DNS_PTR);
    put_record(&b, ANSWER, "*c00c", DNS_PTR, 60, "05 5265");
    a = answer_to(&b, "x.example", DNS_PTR);
    assert_int_equal(a.outcome, DNS_FAILED);
    dns_answer_done(&a);
}

static void
keeps_the_null_mx(void **state)
{
    struct buf b = {0};
    struct dns_answer a;

    (void)state;
    put_question(&b, OK, "x.example", DNS_MX);
    put_mx(&b, "*c00c", 0, "");
    put_mx(&b, "*c00c", 10, "mx.example");
    a = answer_to(&b, "x.example", DNS_MX);
    assert_int_equal(a.count, 2);
    assert_string_equal(a.records[0].mx.host, "");
    assert_int_equal(a.records[0].mx.preference, 0);
    dns_answer_done(&a);
}

static void
joins_the_strings_of_txt(void **state)
{
    static const struct {
        const char *hex, *text;
        size_t len;
    } good[] = {
        {"00", "", 0},
        {"0161", "a", 1},
        {"0161 00 026263", "abc", 3},
        {"03610062", "a\0b", 3},
    };
    static const char *const bad[] = {"", "01", "0261", "0161 02 61", "ff"};
    struct buf b = {0};
    struct dns_answer a;

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        put_question(&b, OK, "x.example", DNS_TXT);
        put_record(&b, ANSWER, "*c00c", DNS_TXT, 1, good[i].hex);
        a = answer_to(&b, "x.example", DNS_TXT);
        assert_int_equal(a.outcome, DNS_FOUND);
        assert_int_equal(a.records[0].txt.len, good[i].len);
        assert_memory_equal(a.records[0].txt.p, good[i].text, good[i].len + 1);
        dns_answer_done(&a);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        put_question(&b, OK, "x.example", DNS_TXT);
        put_record(&b, ANSWER, "*c00c", DNS_TXT, 1, bad[i]);
        check_fails(&b, DNS_TXT, "malformed record");
    }
}

static struct dns_answer
txt_of(size_t len)
{
    struct buf b = {0};
    size_t strings = (len + 254) / 255;

    put_question(&b, OK, "x.example", DNS_TXT);
    put_head(&b, ANSWER, "*c00c", DNS_TXT, 1, len + strings);
    while (len > 0) {
        size_t n = len < 255 ? len : 255;

        buf_add_byte(&b, (char)n);
        memset(buf_room(&b, n), 'a', n);
        b.len += n;
        len -= n;
    }
    return answer_to(&b, "x.example", DNS_TXT);
}

static void
holds_txt_to_its_limit(void **state)
{
    struct dns_answer a = txt_of(DNS_TXT_MAX);

    (void)state;
    assert_int_equal(a.outcome, DNS_FOUND);
    assert_int_equal(a.records[0].txt.len, DNS_TXT_MAX);
    dns_answer_done(&a);
    a = txt_of(DNS_TXT_MAX + 1);
    assert_int_equal(a.outcome, DNS_FAILED);
    a = txt_of(65000);
    assert_int_equal(a.outcome, DNS_FAILED);
}

static void
keeps_tlsa_as_it_came(void **state)
{
    struct buf b = {0};
    struct dns_answer a;

    (void)state;
    put_question(&b, OK_AD, "_25._tcp.x.example", DNS_TLSA);
    put_record(&b, ANSWER, "*c00c", DNS_TLSA, 1, "030101 aabbcc");
    put_record(&b, ANSWER, "*c00c", DNS_TLSA, 1, "ff02ff");
    put_record(&b, ANSWER, "*c00c", DNS_TLSA, 1, "0301");
    a = answer_to(&b, "_25._tcp.x.example", DNS_TLSA);
    assert_int_equal(a.outcome, DNS_FOUND);
    assert_int_equal(a.count, 2);
    assert_int_equal(a.records[0].tlsa.usage, 3);
    assert_int_equal(a.records[0].tlsa.selector, 1);
    assert_int_equal(a.records[0].tlsa.matching, 1);
    assert_int_equal(a.records[0].tlsa.len, 3);
    assert_memory_equal(a.records[0].tlsa.data, "\xaa\xbb\xcc", 3);
    assert_int_equal(a.records[1].tlsa.usage, 255);
    assert_int_equal(a.records[1].tlsa.len, 0);
    dns_answer_done(&a);
}

/* Every type with RDATA of 0 to 20 octets: only the right lengths are taken,
 * and only within the octets that are there. */
static void
survives_every_short_record(void **state)
{
    static const enum dns_type types[] = {DNS_A,   DNS_AAAA, DNS_MX,
                                          DNS_TXT, DNS_TLSA, DNS_CNAME};

    (void)state;
    for (size_t t = 0; t < sizeof(types) / sizeof(types[0]); t++)
        for (size_t len = 0; len <= 20; len++) {
            struct buf b = {0};
            struct dns_answer a;
            bool may = types[t] == DNS_A      ? len == 4
                       : types[t] == DNS_AAAA ? len == 16
                       : types[t] == DNS_MX   ? len == 3
                       : types[t] == DNS_TLSA ? len >= 3
                       : types[t] == DNS_TXT  ? len >= 1
                                              : false;

            put_question(&b, OK, "x.example", types[t]);
            put_head(&b, ANSWER, "*c00c", types[t], 1, len);
            memset(buf_room(&b, len + 1), 0, len + 1);
            b.len += len;
            a = answer_to(&b, "x.example", types[t]);
            assert_int_equal(a.outcome, may ? DNS_FOUND : DNS_FAILED);
            dns_answer_done(&a);

            put_question(&b, OK, "x.example", types[t]);
            put_head(&b, ANSWER, "*c00c", types[t], 1, len + 1);
            memset(buf_room(&b, len + 1), 0, len + 1);
            b.len += len;
            check_fails(&b, types[t], "malformed message");
        }
}

static void
leaves_out_malformed_records_only(void **state)
{
    struct buf b = {0};
    struct dns_answer a;

    (void)state;
    put_question(&b, OK, "x.example", DNS_A);
    put_record(&b, ANSWER, "*c00c", DNS_A, 1, "c00002");
    put_record(&b, ANSWER, "*c00c", DNS_A, 9, "c0000201");
    put_record(&b, ANSWER, "*c00c", DNS_A, 1, "c000020101");
    a = answer_to(&b, "x.example", DNS_A);
    assert_int_equal(a.outcome, DNS_FOUND);
    assert_int_equal(a.count, 1);
    assert_int_equal(a.ttl_s, 9);
    dns_answer_done(&a);

    put_question(&b, OK, "x.example", DNS_MX);
    put_record(&b, ANSWER, "*c00c", DNS_MX, 1, "000a 0161 0000");
    put_mx(&b, "*c00c", 1, "localhost");
    check_fails(&b, DNS_MX, "malformed record");
}

/* How long a negative answer is good: RFC 2308 section 5. */
static void
tells_nothing_from_nowhere(void **state)
{
    struct buf b = {0};
    struct dns_answer a;

    (void)state;
    put_question(&b, OK_AD, "x.example", DNS_MX);
    put_soa(&b, 300, 60);
    a = answer_to(&b, "x.example", DNS_MX);
    assert_int_equal(a.outcome, DNS_NODATA);
    assert_int_equal(a.ttl_s, 60);
    assert_true(a.authentic);
    assert_int_equal(a.count, 0);
    put_question(&b, NXDOMAIN, "x.example", DNS_MX);
    put_soa(&b, 30, 1000000);
    a = answer_to(&b, "x.example", DNS_MX);
    assert_int_equal(a.outcome, DNS_NXDOMAIN);
    assert_int_equal(a.ttl_s, 30);
    put_question(&b, OK, "x.example", DNS_MX);
    put_soa(&b, 1000000, 1000000);
    a = answer_to(&b, "x.example", DNS_MX);
    assert_int_equal(a.ttl_s, DNS_NEGATIVE_TTL_MAX);
    put_question(&b, OK, "x.example", DNS_MX);
    a = answer_to(&b, "x.example", DNS_MX);
    assert_int_equal(a.outcome, DNS_NODATA);
    assert_int_equal(a.ttl_s, 0);

    /* The name at the end of the chain is what does not exist. */
    put_question(&b, NXDOMAIN, "x.example", DNS_MX);
    put_cname(&b, "x.example", 5, "y.example");
    put_soa(&b, 300, 300);
    a = answer_to(&b, "x.example", DNS_MX);
    assert_int_equal(a.outcome, DNS_NXDOMAIN);
    assert_int_equal(a.ttl_s, 5);
    assert_string_equal(a.canonical, "y.example");
}

static void
believes_no_contradiction(void **state)
{
    struct buf b = {0};

    (void)state;
    put_question(&b, NXDOMAIN, "x.example", DNS_MX);
    put_mx(&b, "*c00c", 1, "mx.example");
    check_fails(&b, DNS_MX, "records of a name that does not exist");
    put_question(&b, OK, "x.example", DNS_MX);
    put_record(&b, AUTHORITY, "example", 2, 1, "00");
    check_fails(&b, DNS_MX, "referral instead of an answer");
    put_question(&b, OK, "x.example", DNS_MX);
    put_record(&b, AUTHORITY, "example", 6, 1, "00 00 00000001");
    check_fails(&b, DNS_MX, "malformed message");
}

static void
names_the_failures_of_servers(void **state)
{
    static const struct {
        unsigned flags;
        const char *why;
    } cases[] = {
        {0x8182, "SERVFAIL"},
        {0x8181, "FORMERR"},
        {0x8184, "NOTIMP"},
        {0x8185, "REFUSED"},
        {0x818F, "unknown response code"},
        {0x8380, "truncated"},
        {0x0180, "not an answer to a query"},
        {0x8980, "not an answer to a query"},
    };
    struct buf b = {0};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        put_question(&b, cases[i].flags, "x.example", DNS_A);
        put_record(&b, ANSWER, "*c00c", DNS_A, 1, "c0000201");
        check_fails(&b, DNS_A, cases[i].why);
    }
    put_question(&b, OK, "x.example", DNS_A);
    put_record(&b, ADDITIONAL, "", 41, 0x01000000, "");
    check_fails(&b, DNS_A, "BADVERS");
    put_hex(&b, "1234 8185 0000 0000 0000 0000");
    check_fails(&b, DNS_A, "REFUSED");
}

static void
wants_its_own_question_back(void **state)
{
    static const char other[] = "answer to another question";
    struct buf b = {0};

    (void)state;
    put_question(&b, OK, "y.example", DNS_A);
    check_fails(&b, DNS_A, other);
    put_question(&b, OK, "x.example.net", DNS_A);
    check_fails(&b, DNS_A, other);
    put_question(&b, OK, "x.example", DNS_AAAA);
    check_fails(&b, DNS_A, other);
    put_question(&b, OK, "", DNS_A);
    check_fails(&b, DNS_A, other);
    put_question(&b, OK, "*0178 07 6578616d706c65 00", DNS_A);
    b.p[b.len - 1] = 3;
    check_fails(&b, DNS_A, other);
    put_question(&b, OK, "*c00c", DNS_A);
    check_fails(&b, DNS_A, "malformed question");
    put_hex(&b, "1234 8180 0000 0000 0000 0000");
    check_fails(&b, DNS_A, "no single question in the answer");
}

/* A name that holds "x.example" after a fashion, and none is taken for it. */
static void
refuses_malformed_names(void **state)
{
    static const char *const owners[] = {
        "*c01b", "*c01c", "*c0ff", "*ffff",  "*c000", "*c00b",
        "*40",   "*80",   "*017f", "*41 61", "*c0",
    };
    struct buf b = {0};

    (void)state;
    for (size_t i = 0; i < sizeof(owners) / sizeof(owners[0]); i++) {
        put_question(&b, OK, "x.example", DNS_A);
        put_record(&b, ANSWER, owners[i], DNS_A, 1, "c0000201");
        check_fails(&b, DNS_A, "malformed message");
    }
    put_question(&b, OK, "x.example", DNS_A);
    put_record(&b, ADDITIONAL, "", 41, 0, "");
    put_record(&b, ADDITIONAL, "", 41, 0, "");
    check_fails(&b, DNS_A, "malformed message");
}

static void
caps_the_number_of_records(void **state)
{
    struct buf b = {0};
    struct dns_answer a;

    (void)state;
    put_question(&b, OK, "x.example", DNS_A);
    for (unsigned i = 0; i < 1000; i++)
        put_record(&b, ANSWER, "*c00c", DNS_A, 1, "c0000201");
    a = answer_to(&b, "x.example", DNS_A);
    assert_int_equal(a.count, DNS_RECORDS_MAX);
    dns_answer_done(&a);

    put_question(&b, OK, "x.example", DNS_MX);
    for (unsigned i = 0; i < 1000; i++)
        put_mx(&b, "*c00c", i, "mx.example");
    a = answer_to(&b, "x.example", DNS_MX);
    assert_int_equal(a.count, 1);
    dns_answer_done(&a);
}

static void
cuts_long_lifetimes(void **state)
{
    static const struct {
        uint32_t ttl, kept;
    } cases[] = {{0, 0},
                 {1, 1},
                 {DNS_TTL_MAX, DNS_TTL_MAX},
                 {DNS_TTL_MAX + 1, DNS_TTL_MAX},
                 {0x80000000, DNS_TTL_MAX},
                 {0xFFFFFFFF, DNS_TTL_MAX}};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct buf b = {0};
        struct dns_answer a;

        put_question(&b, OK, "x.example", DNS_A);
        put_record(&b, ANSWER, "*c00c", DNS_A, cases[i].ttl, "c0000201");
        a = answer_to(&b, "x.example", DNS_A);
        assert_int_equal(a.ttl_s, cases[i].kept);
        assert_int_equal(a.records[0].ttl_s, cases[i].kept);
        dns_answer_done(&a);
    }
}

/* A whole message cut at every octet is malformed at each of them. */
static void
survives_every_cut(void **state)
{
    struct buf whole = {0};

    (void)state;
    put_question(&whole, OK, "x.example", DNS_MX);
    put_cname(&whole, "*c00c", 1, "*0179 c00e");
    put_mx(&whole, "y.example", 1, "mx.example");
    put_record(&whole, ADDITIONAL, "", 41, 0, "00030000");
    for (size_t cut = 0; cut < whole.len; cut++) {
        struct buf b = {0};
        struct dns_answer a;

        buf_add(&b, slice_first(buf_slice(&whole), cut));
        buf_add(&b, (struct slice){0});
        (void)buf_room(&b, 1);
        a = answer_to(&b, "x.example", DNS_MX);
        assert_int_equal(a.outcome, DNS_FAILED);
    }
    {
        struct dns_answer a = answer_to(&whole, "x.example", DNS_MX);

        assert_int_equal(a.outcome, DNS_FOUND);
        dns_answer_done(&a);
    }
}

static void
refuses_to_answer_for_no_name(void **state)
{
    static const char *const names[] = {"", ".", "a..b", "a b", ".a", "a/b"};

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct buf b = {0};
        struct dns_answer a;

        put_question(&b, OK, "", DNS_A);
        a = answer_to(&b, names[i], DNS_A);
        assert_int_equal(a.outcome, DNS_FAILED);
        assert_string_equal(a.name, "");
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_addresses),
        cmocka_unit_test(takes_no_record_of_another_class),
        cmocka_unit_test(follows_cnames_in_any_order),
        cmocka_unit_test(follows_so_many_cnames_and_no_loop),
        cmocka_unit_test(keeps_mx_hosts_that_are_hosts),
        cmocka_unit_test(reads_the_names_behind_an_address),
        cmocka_unit_test(keeps_the_null_mx),
        cmocka_unit_test(joins_the_strings_of_txt),
        cmocka_unit_test(holds_txt_to_its_limit),
        cmocka_unit_test(keeps_tlsa_as_it_came),
        cmocka_unit_test(survives_every_short_record),
        cmocka_unit_test(leaves_out_malformed_records_only),
        cmocka_unit_test(tells_nothing_from_nowhere),
        cmocka_unit_test(believes_no_contradiction),
        cmocka_unit_test(names_the_failures_of_servers),
        cmocka_unit_test(wants_its_own_question_back),
        cmocka_unit_test(refuses_malformed_names),
        cmocka_unit_test(caps_the_number_of_records),
        cmocka_unit_test(cuts_long_lifetimes),
        cmocka_unit_test(survives_every_cut),
        cmocka_unit_test(refuses_to_answer_for_no_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
