#include "relay/net/http_parse.h"

#include "relay/base/mem.h"
#include "relay/base/own.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define H "Host: a\r\n"

/* Feeds the text in steps of `step` octets; what the last step said. */
static enum net_http_step
feed(struct net_http_parse *p, struct slice text, size_t step, size_t *total)
{
    enum net_http_step said = NET_HTTP_MORE;
    size_t used;

    *total = 0;
    while ((said == NET_HTTP_MORE || said == NET_HTTP_CONTINUE) &&
           *total < text.len) {
        said = net_http_parse_feed(
            p, slice_first(slice_from(text, *total), step), &used);
        *total += used;
        if (said == NET_HTTP_MORE)
            assert_true(used > 0);
    }
    return said;
}

/* The status that refuses the text, 0 when it is a whole request, 1 when it
 * is an unfinished one; the same however it is cut. */
static int
verdict(struct slice text)
{
    static const size_t steps[] = {SIZE_MAX, 1, 2, 7, 4096};
    int first = -1;

    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        scoped(net_http_parse_free) struct net_http_parse *p =
            net_http_parse_new();
        size_t used;
        enum net_http_step said = feed(p, text, steps[i], &used);
        int status = said == NET_HTTP_WHOLE     ? 0
                     : said == NET_HTTP_REFUSED ? net_http_parse_status(p)
                                                : 1;

        if (i == 0)
            first = status;
        assert_int_equal(status, first);
        if (status > 1)
            assert_true(net_http_parse_error(p)->text[0] != '\0');
    }
    return first;
}

struct text_case {
    const char *text;
    int status;
};

static void
check(const struct text_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int status = verdict(slice_of(cases[i].text));

        if (status != cases[i].status)
            print_error("%s\n", cases[i].text);
        assert_int_equal(status, cases[i].status);
    }
}
#define CHECK(cases) check(cases, sizeof(cases) / sizeof((cases)[0]))

static void
reads_a_request_without_a_body(void **state)
{
    scoped(net_http_parse_free) struct net_http_parse *p = net_http_parse_new();
    size_t used;

    (void)state;
    assert_true(net_http_parse_is_empty(p));
    assert_int_equal(
        feed(p,
             slice_of("GET /v1/queue?domain=a%2eb+c&limit=5&x&=&domain=z "
                      "HTTP/1.1\r\nhost: relay:8025\r\nX-A: \t b c \t\r\n\r\n"),
             SIZE_MAX, &used),
        NET_HTTP_WHOLE);
    assert_false(net_http_parse_is_empty(p));
    assert_string_equal(net_http_parse_method(p), "GET");
    assert_string_equal(net_http_parse_path(p), "/v1/queue");
    assert_string_equal(net_http_parse_param(p, "domain"), "a.b c");
    assert_string_equal(net_http_parse_param(p, "limit"), "5");
    assert_string_equal(net_http_parse_param(p, "x"), "");
    assert_null(net_http_parse_param(p, "y"));
    assert_string_equal(net_http_parse_header(p, "Host", 0), "relay:8025");
    assert_string_equal(net_http_parse_header(p, "x-a", 0), "b c");
    assert_null(net_http_parse_header(p, "X-B", 0));
    assert_int_equal(net_http_parse_body(p).len, 0);
    assert_true(net_http_parse_may_stay(p));
    assert_false(net_http_parse_is_old(p));
}

static void
reads_bodies_by_length_and_in_chunks(void **state)
{
    static const char *const texts[] = {
        "POST / HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\nhello",
        "POST / HTTP/1.1\r\n" H "Transfer-Encoding: Chunked\r\n\r\n"
        "2\r\nhe\r\n3;a=b\r\nllo\r\n0\r\n\r\n",
        "GET / HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\nhello",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        for (size_t step = 1; step < 100; step++) {
            scoped(net_http_parse_free) struct net_http_parse *p =
                net_http_parse_new();
            size_t used;

            assert_int_equal(feed(p, slice_of(texts[i]), step, &used),
                             NET_HTTP_WHOLE);
            assert_int_equal(used, strlen(texts[i]));
            assert_true(slice_is(net_http_parse_body(p), "hello"));
        }
}

static void
leaves_the_next_request_alone(void **state)
{
    static const char *const texts[] = {
        "GET / HTTP/1.1\r\n" H "\r\n",
        "POST / HTTP/1.1\r\n" H "Content-Length: 2\r\n\r\nhi",
        "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n"
        "2\r\nhi\r\n0\r\n\r\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        scoped(net_http_parse_free) struct net_http_parse *p =
            net_http_parse_new();
        scoped(own_free) char *both = mem_printf("%sGET /b", texts[i]);
        size_t used;

        assert_int_equal(feed(p, slice_of(both), SIZE_MAX, &used),
                         NET_HTTP_WHOLE);
        assert_int_equal(used, strlen(texts[i]));
    }
}

static void
an_unfinished_request_is_none(void **state)
{
    static const char text[] =
        "POST /a?b=c HTTP/1.1\r\n" H
        "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";

    (void)state;
    for (size_t n = 0; n < sizeof(text) - 1; n++)
        assert_int_equal(verdict((struct slice){text, n}), 1);
    assert_int_equal(verdict(slice_of(text)), 0);
}

static void
says_whether_the_connection_may_stay(void **state)
{
    static const struct {
        const char *text;
        bool may_stay, is_old;
    } cases[] = {
        {"GET / HTTP/1.1\r\n" H "\r\n", true, false},
        {"GET / HTTP/1.1\r\n" H "Connection: close\r\n\r\n", false, false},
        {"GET / HTTP/1.0\r\n\r\n", false, true},
        {"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", true, true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        scoped(net_http_parse_free) struct net_http_parse *p =
            net_http_parse_new();
        size_t used;

        assert_int_equal(feed(p, slice_of(cases[i].text), SIZE_MAX, &used),
                         NET_HTTP_WHOLE);
        assert_int_equal(net_http_parse_may_stay(p), cases[i].may_stay);
        assert_int_equal(net_http_parse_is_old(p), cases[i].is_old);
    }
}

static void
tells_once_that_the_client_waits_for_100(void **state)
{
    scoped(net_http_parse_free) struct net_http_parse *p = net_http_parse_new();
    struct slice none = {"", 0};
    size_t used;

    (void)state;
    assert_int_equal(net_http_parse_feed(p,
                                         slice_of("PUT / HTTP/1.1\r\n" H
                                                  "Expect: 100-continue\r\n"
                                                  "Content-Length: 2\r\n\r\n"),
                                         &used),
                     NET_HTTP_CONTINUE);
    assert_int_equal(net_http_parse_feed(p, none, &used), NET_HTTP_MORE);
    assert_int_equal(net_http_parse_feed(p, slice_of("hi"), &used),
                     NET_HTTP_WHOLE);
}

/* RFC 9112 section 2.2: whatever ends a line, it is CRLF. */
static void
refuses_every_other_line_end(void **state)
{
    static const struct text_case cases[] = {
        {"GET / HTTP/1.1\nHost: a\n\n", 400},
        {"GET / HTTP/1.1\r\nHost: a\n\r\n", 400},
        {"GET / HTTP/1.1\r\n" H "Dummy: x\rContent-Length: 23\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n" H "x:\rTransfer-Encoding: chunked\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n" H "\r\rXGET /admin HTTP/1.1\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n" H "\rXGET /admin HTTP/1.1\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n" H "\r\r\n\r\n", 400},
        {"\r\nGET / HTTP/1.1\r\n" H "\r\n", 400},
        {"GET / HTTP/1.1\r\n" H "X: a\r\n b\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n" H "X: a\r\n\tb\r\n\r\n", 400},
    };

    (void)state;
    CHECK(cases);
}

static void
refuses_request_lines_that_are_none(void **state)
{
    static const struct text_case cases[] = {
        {"GET\r\n" H "\r\n", 400},
        {"GET /\r\n" H "\r\n", 400},
        {"GET  / HTTP/1.1\r\n" H "\r\n", 400},
        {" GET / HTTP/1.1\r\n" H "\r\n", 400},
        {"GET / HTTP/1.1 \r\n" H "\r\n", 505},
        {"GET / FTP/1.1\r\n" H "\r\n", 400},
        {"GET / HTTP/2.0\r\n" H "\r\n", 505},
        {"GET / HTTP/1.10\r\n" H "\r\n", 505},
        {"GET / http/1.1\r\n" H "\r\n", 400},
        {"G(T / HTTP/1.1\r\n" H "\r\n", 400},
        {"get / HTTP/1.1\r\n" H "\r\n", 501},
        {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 501},
        {"CONNECT a:25 HTTP/1.1\r\n" H "\r\n", 501},
        {"TRACE / HTTP/1.1\r\n" H "\r\n", 501},
        {"GET http://a/ HTTP/1.1\r\n" H "\r\n", 400},
        {"OPTIONS * HTTP/1.1\r\n" H "\r\n", 400},
        {"GET /\x01 HTTP/1.1\r\n" H "\r\n", 400},
        {"GET /\xff HTTP/1.1\r\n" H "\r\n", 400},
        {"GET /a\tb HTTP/1.1\r\n" H "\r\n", 400},
        {"GET /a#b HTTP/1.1\r\n" H "\r\n", 400},
        {"GET /%00 HTTP/1.1\r\n" H "\r\n", 400},
        {"GET /%2 HTTP/1.1\r\n" H "\r\n", 400},
        {"GET /?a=%zz HTTP/1.1\r\n" H "\r\n", 400},
        {"GET /?a=% HTTP/1.1\r\n" H "\r\n", 400},
        {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400},
    };

    (void)state;
    CHECK(cases);
}

static void
refuses_header_fields_that_are_none(void **state)
{
    static const struct text_case cases[] = {
        {"GET / HTTP/1.1\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n" H H "\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n" H ": b\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n" H "no colon\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n" H "X: a\x01\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n" H "X\x80: a\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n" H "Upgrade: h2c\r\n\r\n", 501},
        {"GET / HTTP/1.1\r\n" H "Connection: Upgrade\r\n"
         "Upgrade: websocket\r\n\r\n",
         501},
        {"PUT / HTTP/1.1\r\n" H "Expect: 200-ok\r\n\r\n", 417},
    };

    (void)state;
    CHECK(cases);
}

/* RFC 9112 section 6.3. */
static void
refuses_bodies_whose_end_is_in_doubt(void **state)
{
    static const struct text_case cases[] = {
        {"POST / HTTP/1.1\r\n" H "Content-Length: 1\r\n"
         "Content-Length: 1\r\n\r\na",
         400},
        {"POST / HTTP/1.1\r\n" H "Content-Length: 1\r\n"
         "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
         400},
        {"POST / HTTP/1.1\r\n" H "Content-Length: 1, 1\r\n\r\na", 400},
        {"POST / HTTP/1.1\r\n" H "Content-Length: +1\r\n\r\na", 400},
        {"POST / HTTP/1.1\r\n" H "Content-Length: 0x1\r\n\r\na", 400},
        {"POST / HTTP/1.1\r\n" H "Content-Length:\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\n" H "Content-Length: 65537\r\n\r\n", 413},
        {"POST / HTTP/1.1\r\n" H "Content-Length: 18446744073709551615\r\n\r\n",
         413},
        {"POST / HTTP/1.1\r\n" H
         "Content-Length: 184467440737095516160\r\n\r\n",
         413},
        {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: gzip, chunked\r\n\r\n",
         501},
        {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: xchunked\r\n\r\n", 501},
        {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n"
         "Transfer-Encoding: chunked\r\n\r\n",
         400},
        {"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 501},
    };

    (void)state;
    CHECK(cases);
}

#define CHUNKED "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n"

static void
refuses_chunks_that_are_none(void **state)
{
    static const struct text_case cases[] = {
        {CHUNKED "\r\n", 400},
        {CHUNKED "g\r\n", 400},
        {CHUNKED "-1\r\n", 400},
        {CHUNKED "1\nab\r\n0\r\n\r\n", 400},
        {CHUNKED "1\rXa", 400},
        {CHUNKED "1\r\nab\r\n0\r\n\r\n", 400},
        {CHUNKED "1\r\na0\r\n\r\n", 400},
        {CHUNKED "10001\r\n", 413},
        {CHUNKED "ffffffffffffffff\r\n", 413},
        {CHUNKED "10000000000000000\r\n", 400},
        {CHUNKED "0\r\n\rX", 400},
        {CHUNKED "0\r\nX: a\r\n\r\n", 400},
        {CHUNKED "0\r\nX: a\rContent-Length: 3\r\n\r\n", 400},
    };

    (void)state;
    CHECK(cases);
}

/* `before`, then `n` times `unit`, then `behind`. */
static int
verdict_of_many(const char *before, const char *unit, size_t n,
                const char *behind)
{
    struct buf text = {0};
    int status;

    buf_add_text(&text, before);
    for (size_t i = 0; i < n; i++)
        buf_add_text(&text, unit);
    buf_add_text(&text, behind);
    status = verdict(buf_slice(&text));
    buf_free(&text);
    return status;
}

static void
keeps_its_limits(void **state)
{
    (void)state;
    assert_int_equal(
        verdict_of_many("GET /", "a", 4095, " HTTP/1.1\r\n" H "\r\n"), 0);
    assert_int_equal(
        verdict_of_many("GET /", "a", 4096, " HTTP/1.1\r\n" H "\r\n"), 414);
    assert_int_equal(verdict_of_many("GET /", "a", 1000000, ""), 414);
    assert_int_equal(
        verdict_of_many("GET / HTTP/1.1\r\n" H, "a: b\r\n", 99, "\r\n"), 0);
    assert_int_equal(
        verdict_of_many("GET / HTTP/1.1\r\n" H, "a: b\r\n", 100, "\r\n"), 431);
    assert_int_equal(
        verdict_of_many("GET / HTTP/1.1\r\n" H, "a: b\r\n", 100000, ""), 431);
    assert_int_equal(
        verdict_of_many("GET / HTTP/1.1\r\n" H "X: ", "a", 1000000, ""), 431);
    assert_int_equal(
        verdict_of_many("GET /?", "a&", 32, " HTTP/1.1\r\n" H "\r\n"), 0);
    assert_int_equal(
        verdict_of_many("GET /?", "a&", 33, " HTTP/1.1\r\n" H "\r\n"), 400);
    assert_int_equal(verdict_of_many("POST / HTTP/1.1\r\n" H
                                     "Content-Length: 65536\r\n\r\n",
                                     "a", 65536, ""),
                     0);
    assert_int_equal(verdict_of_many(CHUNKED, "1\r\na\r\n", 65536, "0\r\n\r\n"),
                     0);
    assert_int_equal(verdict_of_many(CHUNKED, "1\r\na\r\n", 65537, ""), 413);
    assert_int_equal(verdict_of_many(CHUNKED "1;", "a", 5000, ""), 400);
    assert_int_equal(verdict_of_many(CHUNKED "1;a=", "b", 1000000, ""), 400);
    assert_int_equal(verdict_of_many(CHUNKED, "0", 1000000, ""), 413);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_a_request_without_a_body),
        cmocka_unit_test(reads_bodies_by_length_and_in_chunks),
        cmocka_unit_test(leaves_the_next_request_alone),
        cmocka_unit_test(an_unfinished_request_is_none),
        cmocka_unit_test(says_whether_the_connection_may_stay),
        cmocka_unit_test(tells_once_that_the_client_waits_for_100),
        cmocka_unit_test(refuses_every_other_line_end),
        cmocka_unit_test(refuses_request_lines_that_are_none),
        cmocka_unit_test(refuses_header_fields_that_are_none),
        cmocka_unit_test(refuses_bodies_whose_end_is_in_doubt),
        cmocka_unit_test(refuses_chunks_that_are_none),
        cmocka_unit_test(keeps_its_limits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
