#include "relay/base/dns.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "relay/base/mem.h"

/* With the OPT record of RFC 6891 section 6.1. */
static void
writes_a_query(void **state)
{
    static const uint8_t want[] = {
        0xAB, 0xCD, 0x01, 0x20, 0,    1,    0,   0,   0,   0, 0, 1,  1,
        'x',  7,    'e',  'x',  'a',  'm',  'p', 'l', 'e', 0, 0, 15, 0,
        1,    0,    0,    41,   0x04, 0xD0, 0,   0,   0,   0, 0, 0,
    };
    uint8_t out[300];

    (void)state;
    assert_int_equal(dns_query_write(0xABCD, "X.example.", DNS_MX, out),
                     sizeof(want));
    assert_memory_equal(out, want, sizeof(want));
}

static void
writes_no_query_for_no_name(void **state)
{
    static const char *const names[] = {
        "",
        ".",
        "..",
        ".x",
        "x..y",
        "x y",
        "x\\y",
        "*.x",
        "x\xc3\xbc",
        "x/y",
        "a123456789a123456789a123456789a123456789a123456789a123456789abcd.x",
    };
    uint8_t out[300];

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        assert_int_equal(dns_query_write(1, names[i], DNS_A, out), 0);
    assert_int_not_equal(dns_query_write(1, names[10] + 1, DNS_A, out), 0);
}

static void
holds_names_to_their_limit(void **state)
{
    char name[256];
    uint8_t out[300];

    (void)state;
    memset(name, 'a', sizeof(name));
    for (size_t i = 50; i < 250; i += 51)
        name[i] = '.';
    name[253] = '\0';
    assert_int_equal(dns_query_write(1, name, DNS_TLSA, out),
                     12 + 255 + 4 + 11);
    name[253] = '.';
    name[254] = '\0';
    assert_int_equal(dns_query_write(1, name, DNS_TLSA, out),
                     12 + 255 + 4 + 11);
    name[253] = 'a';
    assert_int_equal(dns_query_write(1, name, DNS_TLSA, out), 0);
}

static void
makes_failures(void **state)
{
    struct dns_answer a;

    (void)state;
    dns_answer_fail(&a, "X.example.", DNS_TXT, "timeout");
    assert_int_equal(a.outcome, DNS_FAILED);
    assert_int_equal(a.type, DNS_TXT);
    assert_string_equal(a.name, "x.example");
    assert_string_equal(a.canonical, "x.example");
    assert_string_equal(a.why, "timeout");
    dns_answer_done(&a);
}

static void
copies_what_an_answer_owns(void **state)
{
    struct dns_answer a = {.type = DNS_TXT, .outcome = DNS_FOUND}, b;

    (void)state;
    a.records = mem_array(struct dns_record, 2);
    a.count = 2;
    a.records[0].txt.p = mem_copy((struct slice){"a\0b", 3});
    a.records[0].txt.len = 3;
    a.records[1].txt.p = mem_text("");
    dns_answer_copy(&a, &b);
    dns_answer_done(&a);
    assert_int_equal(a.count, 0);
    assert_null(a.records);
    assert_int_equal(b.count, 2);
    assert_memory_equal(b.records[0].txt.p, "a\0b", 4);
    assert_string_equal(b.records[1].txt.p, "");
    dns_answer_done(&b);
    dns_answer_done(&b);

    a = (struct dns_answer){.type = DNS_TLSA, .outcome = DNS_FOUND};
    a.records = mem_new(struct dns_record);
    a.count = 1;
    a.records[0].tlsa.data = (uint8_t *)mem_text("xyz");
    a.records[0].tlsa.len = 3;
    dns_answer_copy(&a, &b);
    dns_answer_done(&a);
    assert_memory_equal(b.records[0].tlsa.data, "xyz", 3);
    dns_answer_done(&b);

    dns_answer_fail(&a, "x.example", DNS_A, "timeout");
    dns_answer_copy(&a, &b);
    assert_string_equal(b.why, "timeout");
    dns_answer_done(&b);
}

static void
names_the_types(void **state)
{
    (void)state;
    assert_string_equal(dns_type_name(DNS_A), "A");
    assert_string_equal(dns_type_name(DNS_CNAME), "CNAME");
    assert_string_equal(dns_type_name(DNS_MX), "MX");
    assert_string_equal(dns_type_name(DNS_TXT), "TXT");
    assert_string_equal(dns_type_name(DNS_AAAA), "AAAA");
    assert_string_equal(dns_type_name(DNS_TLSA), "TLSA");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_a_query),
        cmocka_unit_test(writes_no_query_for_no_name),
        cmocka_unit_test(holds_names_to_their_limit),
        cmocka_unit_test(makes_failures),
        cmocka_unit_test(copies_what_an_answer_owns),
        cmocka_unit_test(names_the_types),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
