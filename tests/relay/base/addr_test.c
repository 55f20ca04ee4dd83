#include "relay/base/addr.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>

static struct addr
addr(const char *text)
{
    struct addr a;
    struct err err;

    if (!addr_parse(slice_of(text), &a, &err))
        fail_msg("%s: %s", text, err.text);
    return a;
}

static struct addr_net
net(const char *text)
{
    struct addr_net n;
    struct err err;

    if (!addr_net_parse(slice_of(text), &n, &err))
        fail_msg("%s: %s", text, err.text);
    return n;
}

static void
reads_addresses(void **state)
{
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"192.0.2.1", "192.0.2.1"},
        {"2001:DB8::1", "2001:db8::1"},
        {"[2001:db8::1]", "2001:db8::1"},
        {"::", "::"},
        {"::ffff:192.0.2.1", "192.0.2.1"},
        {"[::ffff:c000:201]", "192.0.2.1"},
        {"1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"},
    };
    static const char *const bad[] = {
        "",
        "1",
        "1.2.3",
        "1.2.3.4.5",
        "1.2.3.256",
        "01.2.3.4",
        "0x7f.0.0.1",
        "1.2.3.4 ",
        " 1.2.3.4",
        "[1.2.3.4]",
        "[]",
        "[::1",
        "::1]",
        "::1%eth0",
        "1:2:3:4:5:6:7",
        ":::",
        "localhost",
        "1.2.3.4/8",
        "1111:1111:1111:1111:1111:1111:1111:1111:1111:1111",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct addr a = addr(cases[i].in);
        char out[ADDR_TEXT_SIZE];

        assert_string_equal(addr_text(&a, out), cases[i].out);
        assert_int_equal(addr_port(&a), 0);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct addr a;
        struct err err;

        if (addr_parse(slice_of(bad[i]), &a, &err))
            fail_msg("taken: %s", bad[i]);
        assert_int_equal(err.kind, ERR_INPUT);
    }
    {
        struct addr a;
        struct err err;

        assert_false(addr_parse((struct slice){"1.2.3.4\0", 8}, &a, &err));
    }
}

static void
reads_ports(void **state)
{
    static const struct {
        const char *in;
        unsigned port;
        const char *out;
    } cases[] = {
        {"192.0.2.1:25", 0, "192.0.2.1:25"},
        {"192.0.2.1", 25, "192.0.2.1:25"},
        {"[2001:db8::1]:587", 25, "[2001:db8::1]:587"},
        {"[2001:db8::1]", 25, "[2001:db8::1]:25"},
        {"2001:db8::1", 25, "[2001:db8::1]:25"},
        {"[::ffff:192.0.2.1]:65535", 0, "192.0.2.1:65535"},
        {"192.0.2.1", 0, NULL},
        {"2001:db8::1", 0, NULL},
        {"192.0.2.1:", 25, NULL},
        {"192.0.2.1:0", 25, NULL},
        {"192.0.2.1:65536", 25, NULL},
        {"192.0.2.1:-1", 25, NULL},
        {"192.0.2.1:25x", 25, NULL},
        {"[192.0.2.1]:25", 25, NULL},
        {"[2001:db8::1]25", 25, NULL},
        {"[2001:db8::1]:", 25, NULL},
        {":25", 25, NULL},
        {"", 25, NULL},
        {":", 25, NULL},
        {"]", 25, NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct addr a;
        struct err err;
        char out[ADDR_TEXT_SIZE];
        bool ok =
            addr_parse_port(slice_of(cases[i].in), cases[i].port, &a, &err);

        if (ok != (cases[i].out != NULL))
            fail_msg("%s", cases[i].in);
        if (ok)
            assert_string_equal(addr_text_port(&a, out), cases[i].out);
    }
}

static void
reads_networks(void **state)
{
    static const struct {
        const char *in;
        int bits; /* -1: refused */
    } cases[] = {
        {"10.0.0.0/8", 8},
        {"0.0.0.0/0", 0},
        {"192.0.2.1", 32},
        {"192.0.2.1/32", 32},
        {"192.0.2.128/25", 25},
        {"::/0", 0},
        {"::1", 128},
        {"[2001:db8::]/32", 32},
        {"::ffff:10.0.0.0/104", 8},
        {"10.0.0.1/8", -1},
        {"192.0.2.1/31", -1},
        {"2001:db8::1/64", -1},
        {"::ffff:10.0.0.1/104", -1},
        {"::ffff:0.0.0.0/95", -1},
        {"10.0.0.0/33", -1},
        {"::/129", -1},
        {"10.0.0.0/", -1},
        {"10.0.0.0/-1", -1},
        {"10.0.0.0/8/8", -1},
        {"10.0.0.0/99999999999999999999", -1},
        {"10/8", -1},
        {"/8", -1},
        {"", -1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct addr_net n;
        struct err err;
        bool ok = addr_net_parse(slice_of(cases[i].in), &n, &err);

        if (ok != (cases[i].bits >= 0))
            fail_msg("%s", cases[i].in);
        if (ok)
            assert_int_equal(n.bits, cases[i].bits);
    }
}

static void
says_which_network_was_meant(void **state)
{
    struct addr_net n;
    struct err err;

    (void)state;
    assert_false(addr_net_parse(slice_of("10.1.2.3/15"), &n, &err));
    assert_non_null(strstr(err.text, "10.0.0.0/15"));
    assert_false(addr_net_parse(slice_of("2001:db8::1/33"), &n, &err));
    assert_non_null(strstr(err.text, "2001:db8::/33"));
}

static void
knows_what_is_in_a_network(void **state)
{
    static const struct {
        const char *net, *addr;
        bool is_in;
    } cases[] = {
        {"10.0.0.0/8", "10.255.255.255", true},
        {"10.0.0.0/8", "11.0.0.0", false},
        {"10.0.0.0/8", "::ffff:10.1.1.1", true},
        {"192.0.2.128/25", "192.0.2.128", true},
        {"192.0.2.128/25", "192.0.2.127", false},
        {"192.0.2.1", "192.0.2.1", true},
        {"192.0.2.1", "192.0.2.0", false},
        {"0.0.0.0/0", "1.2.3.4", true},
        {"0.0.0.0/0", "::1", false},
        {"::/0", "1.2.3.4", false},
        {"::/0", "2001:db8::1", true},
        {"2001:db8::/33", "2001:db8:7fff::1", true},
        {"2001:db8::/33", "2001:db8:8000::1", false},
        {"::1", "::1", true},
        {"::1", "::2", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct addr_net n = net(cases[i].net);
        struct addr a = addr(cases[i].addr);

        assert_int_equal(addr_is_in(&a, &n), cases[i].is_in);
    }
}

/* The registries of RFC 6890. */
static void
knows_special_addresses(void **state)
{
    static const char *const special[] = {
        "0.0.0.0",
        "127.0.0.1",
        "127.255.255.255",
        "10.0.0.1",
        "100.64.0.1",
        "100.127.255.255",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "192.0.0.1",
        "192.0.2.1",
        "198.18.0.1",
        "198.19.255.255",
        "198.51.100.1",
        "203.0.113.1",
        "192.88.99.1",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::127.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:7f00:1",
        "fe80::1",
        "febf::1",
        "fec0::1",
        "fc00::1",
        "fdff::1",
        "ff02::1",
        "100::1",
        "64:ff9b::7f00:1",
        "64:ff9b::10.0.0.1",
        "64:ff9b:1::1",
        "2002:7f00:1::",
        "2002:a00:1::1",
        "2001:db8::1",
        "2001::1",
        "2001:1ff::1",
        "3fff::1",
        "3fff:fff::1",
        "4000::1",
        "5f00::1",
    };
    static const char *const global[] = {
        "1.1.1.1",          "9.255.255.255",   "11.0.0.1",
        "100.63.255.255",   "100.128.0.1",     "126.255.255.255",
        "128.0.0.1",        "169.253.0.1",     "172.15.255.255",
        "172.32.0.1",       "192.167.0.1",     "198.17.0.1",
        "198.20.0.1",       "223.255.255.255", "2001:200::1",
        "2001:4860::1",     "2a00::1",         "2600::1",
        "64:ff9b::1.1.1.1", "2002:101:101::1", "::ffff:1.1.1.1",
        "3ffe::1",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(special) / sizeof(special[0]); i++) {
        struct addr a = addr(special[i]);

        if (!addr_is_special(&a))
            fail_msg("%s", special[i]);
    }
    for (size_t i = 0; i < sizeof(global) / sizeof(global[0]); i++) {
        struct addr a = addr(global[i]);

        if (addr_is_special(&a))
            fail_msg("%s", global[i]);
    }
}

static void
knows_loopback(void **state)
{
    struct addr a = addr("127.1.2.3"), b = addr("::1"), c = addr("128.0.0.1"),
                d = addr("::2");

    (void)state;
    assert_true(addr_is_loopback(&a));
    assert_true(addr_is_loopback(&b));
    assert_false(addr_is_loopback(&c));
    assert_false(addr_is_loopback(&d));
}

static void
compares_hosts_without_ports(void **state)
{
    struct addr a = addr("192.0.2.1"), b = addr("::ffff:192.0.2.1"),
                c = addr("192.0.2.2"), d = addr("fe80::1"), e = d;

    (void)state;
    addr_set_port(&a, 25);
    assert_int_equal(addr_port(&a), 25);
    assert_true(addr_is_same_host(&a, &b));
    assert_false(addr_is_same_host(&a, &c));
    assert_false(addr_is_same_host(&a, &d));
    assert_true(addr_is_same_host(&d, &e));
    e.v6.sin6_scope_id = 2;
    assert_false(addr_is_same_host(&d, &e));
}

static void
comes_from_a_socket(void **state)
{
    struct sockaddr_in6 v6 = {
        .sin6_family = AF_INET6, .sin6_port = htons(25), .sin6_scope_id = 3};
    struct sockaddr unix_socket = {.sa_family = AF_UNIX};
    struct addr a;
    char out[ADDR_TEXT_SIZE];

    (void)state;
    assert_int_equal(inet_pton(AF_INET6, "fe80::1", &v6.sin6_addr), 1);
    a = addr_from_sockaddr((struct sockaddr *)&v6);
    assert_string_equal(addr_text_port(&a, out), "[fe80::1%3]:25");
    assert_int_equal(addr_len(&a), sizeof(struct sockaddr_in6));
    assert_int_equal(inet_pton(AF_INET6, "::ffff:192.0.2.1", &v6.sin6_addr), 1);
    a = addr_from_sockaddr((struct sockaddr *)&v6);
    assert_string_equal(addr_text_port(&a, out), "192.0.2.1:25");
    assert_int_equal(addr_len(&a), sizeof(struct sockaddr_in));
    a = addr_from_sockaddr(&a.any);
    assert_string_equal(addr_text(&a, out), "192.0.2.1");

    a = addr_from_sockaddr(&unix_socket);
    assert_string_equal(addr_text(&a, out), "");
    assert_int_equal(addr_port(&a), 0);
    assert_true(addr_is_special(&a));
    assert_false(addr_is_loopback(&a));
    assert_false(addr_is_same_host(&a, &a));
}

static void
has_a_name_for_the_way_back(void **state)
{
    char out[ADDR_REVERSE_SIZE];
    struct addr a;
    struct err err;

    (void)state;
    assert_true(addr_parse(slice_of("192.0.2.10"), &a, &err));
    assert_string_equal(addr_reverse(&a, out), "10.2.0.192.in-addr.arpa");
    assert_true(addr_parse(slice_of("2001:db8::f1"), &a, &err));
    assert_string_equal(addr_reverse(&a, out),
                        "1.f.0.0.0.0.0.0.0.0.0.0.0.0.0.0."
                        "0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_addresses),
        cmocka_unit_test(reads_ports),
        cmocka_unit_test(reads_networks),
        cmocka_unit_test(says_which_network_was_meant),
        cmocka_unit_test(knows_what_is_in_a_network),
        cmocka_unit_test(knows_special_addresses),
        cmocka_unit_test(knows_loopback),
        cmocka_unit_test(compares_hosts_without_ports),
        cmocka_unit_test(comes_from_a_socket),
        cmocka_unit_test(has_a_name_for_the_way_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
