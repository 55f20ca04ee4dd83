#include "relay/base/dns_wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

static struct dns_wire
wire(const void *octets, size_t len)
{
    return (struct dns_wire){.message = octets, .end = len};
}

static void
reads_numbers_and_stops_at_the_end(void **state)
{
    struct dns_wire w = wire("\x01\x02\x03\x04\x05\x06\x07\x08", 8);

    (void)state;
    assert_int_equal(dns_wire_u8(&w), 1);
    assert_int_equal(dns_wire_u16(&w), 0x0203);
    assert_int_equal(dns_wire_u32(&w), 0x04050607);
    assert_int_equal(dns_wire_left(&w), 1);
    assert_int_equal(dns_wire_u16(&w), 0);
    assert_true(w.is_broken);
    /* Once broken it stays so, though an octet is left. */
    assert_int_equal(dns_wire_left(&w), 0);
    assert_int_equal(dns_wire_u8(&w), 0);
    assert_null(dns_wire_bytes(&w, 0));
    w = wire(NULL, 0);
    assert_int_equal(dns_wire_u32(&w), 0);
    assert_true(w.is_broken);
    w = wire("x", 1);
    assert_null(dns_wire_bytes(&w, SIZE_MAX));
}

/* A chain of pointers, each to the one before, in front of a name. */
static bool
follows(size_t pointers)
{
    uint8_t message[600] = {0};
    struct dns_wire w = wire(message, sizeof(message));
    struct dns_wire_name name;
    size_t at = 12;

    memcpy(message + at, "\1x", 3);
    w.at = 15;
    for (size_t i = 0; i < pointers; i++) {
        size_t to = i ? w.at - 2 : at;

        message[w.at++] = (uint8_t)(0xC0 | to >> 8);
        message[w.at++] = (uint8_t)to;
    }
    w.at -= 2;
    at = w.at;
    dns_wire_name(&w, &name);
    if (w.is_broken)
        return false;
    assert_string_equal(name.text, "x");
    assert_int_equal(w.at, at + 2);
    return true;
}

static void
follows_so_many_pointers(void **state)
{
    (void)state;
    assert_true(follows(1));
    assert_true(follows(DNS_WIRE_POINTERS_MAX));
    assert_false(follows(DNS_WIRE_POINTERS_MAX + 1));
    assert_false(follows(250));
}

/* A label that is pointed to ends before the pointer. */
static void
reads_no_pointer_as_a_label(void **state)
{
    static const char message[] = "............\3ab\xC0\x0Ctwelve.more.";
    struct dns_wire w = wire(message, sizeof(message));
    struct dns_wire_name name;

    (void)state;
    w.at = 15;
    dns_wire_name(&w, &name);
    assert_true(w.is_broken);
    assert_string_equal(name.text, "");
}

/* 63 + 1 three times, then one label that fills up or runs over. */
static bool
takes_name_with_last_label(size_t last, char c)
{
    uint8_t message[400] = {0};
    struct dns_wire w = wire(message, sizeof(message));
    struct dns_wire_name name;

    for (size_t i = 0; i < 3; i++) {
        message[i * 64] = 63;
        memset(message + i * 64 + 1, c, 63);
    }
    message[192] = (uint8_t)last;
    memset(message + 193, c, last);
    dns_wire_name(&w, &name);
    return !w.is_broken;
}

static void
holds_names_to_255_octets(void **state)
{
    struct dns_wire_name name;
    uint8_t labels[300];
    struct dns_wire w;

    (void)state;
    assert_true(takes_name_with_last_label(61, 'a'));
    assert_false(takes_name_with_last_label(62, 'a'));
    assert_true(takes_name_with_last_label(61, '\0'));
    assert_false(takes_name_with_last_label(63, '\0'));
    for (size_t i = 0; i < sizeof(labels); i++)
        labels[i] = i % 2 ? 'a' : 1;
    labels[254] = 0;
    w = wire(labels, sizeof(labels));
    dns_wire_name(&w, &name);
    assert_false(w.is_broken);
    assert_int_equal(strlen(name.text), 253);
    labels[254] = 1;
    labels[256] = 0;
    w = wire(labels, sizeof(labels));
    dns_wire_name(&w, &name);
    assert_true(w.is_broken);
}

static void
spells_no_odd_name(void **state)
{
    static const char bad[] = "\0. \"\\\r\n\x7f\x80\xff/@*$";

    (void)state;
    for (size_t i = 0; i < sizeof(bad) - 1; i++) {
        uint8_t message[] = {1, 'a', 1, (uint8_t)bad[i], 0};
        struct dns_wire w = wire(message, sizeof(message));
        struct dns_wire_name name;

        dns_wire_name(&w, &name);
        assert_false(w.is_broken);
        assert_true(name.is_odd);
        assert_string_equal(name.text, "");
        assert_false(dns_wire_is_same(&name, ""));
        assert_int_equal(w.at, sizeof(message));
    }
}

static void
keeps_data_within_its_record(void **state)
{
    static const char message[] = "\0"
                                  "\0\1"
                                  "\0\1"
                                  "\0\0\0\7"
                                  "\0\2"
                                  "ab"
                                  "c";
    struct dns_wire w = wire(message, sizeof(message) - 1);
    struct dns_wire_record record;

    (void)state;
    dns_wire_record(&w, &record);
    assert_false(w.is_broken);
    assert_int_equal(record.ttl, 7);
    assert_int_equal(dns_wire_left(&record.data), 2);
    assert_int_equal(dns_wire_left(&w), 1);
    assert_memory_equal(dns_wire_bytes(&record.data, 2), "ab", 2);
    assert_null(dns_wire_bytes(&record.data, 1));
    for (size_t cut = 0; cut < sizeof(message) - 2; cut++) {
        char *copy = malloc(cut + 1);

        assert_non_null(copy);
        memcpy(copy, message, cut);
        w = wire(copy, cut);
        dns_wire_record(&w, &record);
        assert_true(w.is_broken);
        assert_int_equal(dns_wire_left(&record.data), 0);
        free(copy);
    }
}

static void
knows_host_names(void **state)
{
    static const char *const hosts[] = {
        "mx",          "mx.example",        "1.example",
        "a_b.example", "localhost.example", "r3---sn.example"};
    static const char *const others[] = {
        "",    ".",    "localhost", "a.localhost", "1",  "127.0.0.1",
        "a.1", "-a.b", "a-.b",      "a..b",        ".a", "a.b-",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++)
        assert_true(dns_wire_is_host(hosts[i]));
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        assert_false(dns_wire_is_host(others[i]));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_numbers_and_stops_at_the_end),
        cmocka_unit_test(follows_so_many_pointers),
        cmocka_unit_test(reads_no_pointer_as_a_label),
        cmocka_unit_test(holds_names_to_255_octets),
        cmocka_unit_test(spells_no_odd_name),
        cmocka_unit_test(keeps_data_within_its_record),
        cmocka_unit_test(knows_host_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
