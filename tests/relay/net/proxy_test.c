#include "relay/net/proxy.h"

#include "relay/base/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define TEXT(s) ((struct slice){(s), sizeof(s) - 1})
#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define V4_ADDRESSES "\xc0\0\2\1\xc6\x33\x64\2\x12\x67\0\x19"
#define V6_ADDRESSES                                                           \
    "\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1"                                   \
    "\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\2\x12\x67\0\x19"

/* As a slice of its own size, so that reading too far is noticed. */
static enum net_proxy_step
parse(struct slice in, struct net_proxy *out, struct err *err)
{
    char *copy = malloc(in.len ? in.len : 1);
    enum net_proxy_step step;

    memcpy(copy, in.p, in.len);
    step = net_proxy_parse((struct slice){copy, in.len}, out, err);
    free(copy);
    return step;
}

static const struct {
    struct slice text;
    enum net_proxy_kind kind;
    const char *client;
} good[] = {
    {TEXT("PROXY TCP4 192.0.2.1 198.51.100.2 4711 25\r\n"), NET_PROXY_CLIENT,
     "192.0.2.1:4711"},
    {TEXT("PROXY TCP4 0.0.0.0 255.255.255.255 0 65535\r\n"), NET_PROXY_CLIENT,
     "0.0.0.0:0"},
    {TEXT("PROXY TCP6 2001:db8::1 2001:db8::2 4711 25\r\n"), NET_PROXY_CLIENT,
     "[2001:db8::1]:4711"},
    {TEXT("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe "
          "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"),
     NET_PROXY_CLIENT, "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe]:65535"},
    {TEXT("PROXY TCP6 ::ffff:192.0.2.1 ::1 4711 25\r\n"), NET_PROXY_CLIENT,
     "192.0.2.1:4711"},
    {TEXT("PROXY UNKNOWN\r\n"), NET_PROXY_UNKNOWN, NULL},
    {TEXT("PROXY UNKNOWN 192.0.2.1 and whatever\r\n"), NET_PROXY_UNKNOWN, NULL},
    {TEXT(SIGNATURE "\x20\0\0\0"), NET_PROXY_LOCAL, NULL},
    {TEXT(SIGNATURE "\x20\x11\0\x0c" V4_ADDRESSES), NET_PROXY_LOCAL, NULL},
    {TEXT(SIGNATURE "\x21\x11\0\x0c" V4_ADDRESSES), NET_PROXY_CLIENT,
     "192.0.2.1:4711"},
    {TEXT(SIGNATURE "\x21\x11\0\x13" V4_ADDRESSES "\4\0\4abcd"),
     NET_PROXY_CLIENT, "192.0.2.1:4711"},
    {TEXT(SIGNATURE "\x21\x21\0\x24" V6_ADDRESSES), NET_PROXY_CLIENT,
     "[2001:db8::1]:4711"},
    {TEXT(SIGNATURE "\x21\0\0\0"), NET_PROXY_UNKNOWN, NULL},
    {TEXT(SIGNATURE "\x21\x31\0\2ab"), NET_PROXY_UNKNOWN, NULL},
};

static void
a_header_says_who_the_client_is(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
        struct net_proxy got;
        char text[ADDR_TEXT_SIZE];
        struct err err;

        assert_int_equal(parse(good[i].text, &got, &err), NET_PROXY_DONE);
        assert_int_equal(got.kind, good[i].kind);
        assert_int_equal(got.len, good[i].text.len);
        if (good[i].client)
            assert_string_equal(addr_text_port(&got.client, text),
                                good[i].client);
        else
            assert_int_equal(got.client.any.sa_family, AF_UNSPEC);
    }
}

static void
however_it_is_cut_it_waits_for_all_of_it(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
        for (size_t len = 0; len < good[i].text.len; len++) {
            struct net_proxy got;
            struct err err;

            assert_int_equal(parse(slice_first(good[i].text, len), &got, &err),
                             NET_PROXY_WAITS);
        }
}

static void
what_stands_behind_it_is_not_its_own(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
        struct buf both = {0};
        struct net_proxy got;
        struct err err;

        buf_add(&both, good[i].text);
        buf_add_text(&both, "\r\n\x16\x03\x01 PROXY UNKNOWN\r\n");
        assert_int_equal(parse(buf_slice(&both), &got, &err), NET_PROXY_DONE);
        assert_int_equal(got.len, good[i].text.len);
        buf_free(&both);
    }
}

static void
what_is_no_header_is_refused(void **state)
{
    static const struct slice rows[] = {
        TEXT("E"),
        TEXT("EHLO x\r\n"),
        TEXT("PROXX"),
        TEXT("proxy "),
        TEXT("PROXY \r\n"),
        TEXT("PROXY\r\n"),
        TEXT("PROXY  TCP4 192.0.2.1 198.51.100.2 4711 25\r\n"),
        TEXT("PROXY TCP4 192.0.2.1 198.51.100.2 4711 25\n"),
        TEXT("PROXY TCP4 192.0.2.1 198.51.100.2 4711\r\n"),
        TEXT("PROXY TCP4 192.0.2.1 198.51.100.2 4711 25 \r\n"),
        TEXT("PROXY TCP4 192.0.2.1 198.51.100.2 4711 25 7\r\n"),
        TEXT("PROXY TCP4 192.0.2.1 198.51.100.2  25\r\n"),
        TEXT("PROXY TCP4 192.0.2.1 198.51.100.2 65536 25\r\n"),
        TEXT("PROXY TCP4 192.0.2.1 198.51.100.2 -1 25\r\n"),
        TEXT("PROXY TCP4 192.0.2.1 198.51.100.2 +1 25\r\n"),
        TEXT("PROXY TCP4 192.0.2.1 198.51.100.2 01 25\r\n"),
        TEXT("PROXY TCP4 192.0.2 198.51.100.2 4711 25\r\n"),
        TEXT("PROXY TCP4 192.0.2.256 198.51.100.2 4711 25\r\n"),
        TEXT("PROXY TCP4 2001:db8::1 2001:db8::2 4711 25\r\n"),
        TEXT("PROXY TCP6 192.0.2.1 198.51.100.2 4711 25\r\n"),
        TEXT("PROXY TCP6 [2001:db8::1] 2001:db8::2 4711 25\r\n"),
        TEXT("PROXY TCP6 fe80::1%lo fe80::2 4711 25\r\n"),
        TEXT("PROXY TCP4 192.0.2.1\0 198.51.100.2 4711 25\r\n"),
        TEXT("PROXY UDP4 192.0.2.1 198.51.100.2 4711 25\r\n"),
        TEXT("PROXY unknown\r\n"),
        TEXT("PROXY TCP4\t192.0.2.1 198.51.100.2 4711 25\r\n"),
        TEXT("\r\n\r\n\0\r\nQUIX"),
        TEXT(SIGNATURE "\x11\x11\0\x0c" V4_ADDRESSES),
        TEXT(SIGNATURE "\x22\x11\0\x0c" V4_ADDRESSES),
        TEXT(SIGNATURE "\x21\x12\0\x0c" V4_ADDRESSES),
        TEXT(SIGNATURE "\x21\x10\0\x0c" V4_ADDRESSES),
        TEXT(SIGNATURE "\x21\x41\0\x0c" V4_ADDRESSES),
        TEXT(SIGNATURE "\x21\x11\0\x0b" V4_ADDRESSES),
        TEXT(SIGNATURE "\x21\x11\0\0"),
        TEXT(SIGNATURE "\x21\x21\0\x0c" V4_ADDRESSES),
        TEXT(SIGNATURE "\x21\x21\0\x23" V6_ADDRESSES),
        TEXT(SIGNATURE "\x21\x11\xff\xff"),
        TEXT(SIGNATURE "\x20\0\x0f\xf1"),
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct net_proxy got;
        struct err err = {0};

        if (parse(rows[i], &got, &err) != NET_PROXY_REFUSED)
            fail_msg("row %zu: %s", i, rows[i].p);
        assert_int_equal(err.kind, ERR_INPUT);
    }
}

static void
a_line_and_a_header_have_their_limits(void **state)
{
    struct buf line = {0}, header = {0};
    struct net_proxy got;
    struct err err;

    (void)state;
    buf_add_text(&line, "PROXY UNKNOWN ");
    while (line.len < NET_PROXY_LINE_MAX - 2)
        buf_add_byte(&line, 'x');
    buf_add_text(&line, "\r\n");
    assert_int_equal(parse(buf_slice(&line), &got, &err), NET_PROXY_DONE);
    line.len -= 2;
    buf_add_text(&line, "x\r\n");
    assert_int_equal(parse(buf_slice(&line), &got, &err), NET_PROXY_REFUSED);

    buf_add(&header, TEXT(SIGNATURE "\x20\0\x0f\xf0"));
    while (header.len < NET_PROXY_HEADER_MAX)
        buf_add_byte(&header, 'x');
    assert_int_equal(parse(buf_slice(&header), &got, &err), NET_PROXY_DONE);
    buf_free(&line);
    buf_free(&header);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_header_says_who_the_client_is),
        cmocka_unit_test(however_it_is_cut_it_waits_for_all_of_it),
        cmocka_unit_test(what_stands_behind_it_is_not_its_own),
        cmocka_unit_test(what_is_no_header_is_refused),
        cmocka_unit_test(a_line_and_a_header_have_their_limits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
