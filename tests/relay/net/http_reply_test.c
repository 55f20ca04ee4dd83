#include "relay/net/http_reply.h"

#include "relay/base/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define OK "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
#define CHUNKED OK "Transfer-Encoding: chunked\r\n\r\n"

enum verdict { WHOLE, FAILED, UNFINISHED };

/* What the text is, with the end of the connection behind it or not; the same
 * however it is cut. */
static enum verdict
judge(struct slice text, bool ends, const char *body, struct err *err)
{
    static const size_t steps[] = {SIZE_MAX, 1, 2, 7, 4096};
    enum verdict first = WHOLE;

    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        scoped(net_http_reply_free) struct net_http_reply *r =
            net_http_reply_new("text/plain");
        enum verdict v = UNFINISHED;
        bool ok = true;

        for (size_t at = 0; ok && at < text.len;) {
            struct slice part = slice_first(slice_from(text, at), steps[i]);

            ok = net_http_reply_feed(r, part, err);
            at += part.len;
        }
        if (ok && ends)
            ok = net_http_reply_end(r, err);
        if (!ok)
            v = FAILED;
        else if (net_http_reply_is_whole(r))
            v = WHOLE;
        if (i == 0)
            first = v;
        assert_int_equal(v, first);
        if (v == WHOLE && body)
            assert_true(slice_is(net_http_reply_body(r), body));
        assert_true(v != FAILED || err->text[0] != '\0');
    }
    return first;
}

static void
check_fails(const char *const *texts, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct err err;

        if (judge(slice_of(texts[i]), false, NULL, &err) != FAILED)
            fail_msg("passed: %s", texts[i]);
    }
}
#define CHECK_FAILS(texts)                                                     \
    check_fails(texts, sizeof(texts) / sizeof((texts)[0]))

static void
takes_a_body_by_length_or_in_chunks(void **state)
{
    static const char *const texts[] = {
        OK "Content-Length: 5\r\n\r\nhello",
        OK "Content-Length: 5\r\n\r\nhello, and more",
        "HTTP/1.1 200 \r\nContent-Type: text/plain\r\n"
        "Content-Length: 5\r\n\r\nhello",
        "HTTP/1.1 200\r\nContent-Type: text/plain\r\n"
        "Content-Length: 5\r\n\r\nhello",
        "HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n"
        "Content-Length: 5\r\n\r\nhello",
        CHUNKED "2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
        CHUNKED "2;a=b\r\nhe\r\n03;c\r\nllo\r\n0\r\n\r\nmore",
        OK "content-encoding: Identity\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nContent-Type: Text/Plain ; charset=utf-8\r\n"
        "Content-Length: 5\r\n\r\nhello",
        OK "Set-Cookie: a=b\r\nAlt-Svc: h2=\":443\"\r\nUpgrade: h2c\r\n"
           "Strict-Transport-Security: max-age=1\r\n"
           "Content-Length: 5\r\n\r\nhello",
    };
    struct err err;

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        if (judge(slice_of(texts[i]), false, "hello", &err) != WHOLE)
            fail_msg("%s: %s", err.text, texts[i]);
}

static void
takes_an_empty_body(void **state)
{
    struct err err;

    (void)state;
    assert_int_equal(
        judge(slice_of(OK "Content-Length: 0\r\n\r\n"), false, "", &err),
        WHOLE);
    assert_int_equal(judge(slice_of(CHUNKED "0\r\n\r\n"), false, "", &err),
                     WHOLE);
}

static void
a_body_without_length_ends_with_the_connection(void **state)
{
    struct err err;

    (void)state;
    assert_int_equal(judge(slice_of(OK "\r\nhello"), false, NULL, &err),
                     UNFINISHED);
    assert_int_equal(judge(slice_of(OK "\r\nhello"), true, "hello", &err),
                     WHOLE);
}

static void
an_end_that_comes_early_fails(void **state)
{
    static const char *const texts[] = {
        OK "Content-Length: 5\r\n\r\nhello",
        CHUNKED "5\r\nhello\r\n0\r\n\r\n",
    };
    struct err err;

    (void)state;
    for (size_t i = 0; i < 2; i++)
        for (size_t n = 0; n < strlen(texts[i]); n++) {
            struct slice cut = {texts[i], n};

            assert_int_equal(judge(cut, false, NULL, &err), UNFINISHED);
            assert_int_equal(judge(cut, true, NULL, &err), FAILED);
        }
    assert_non_null(strstr(err.text, "the end of the connection"));
}

static void
only_200_is_success(void **state)
{
    static const char *const texts[] = {
        "HTTP/1.1 301 Moved\r\nLocation: https://a/\r\n\r\n",
        "HTTP/1.1 302 Found\r\n\r\n",
        "HTTP/1.1 307 X\r\n\r\n",
        "HTTP/1.1 308 X\r\n\r\n",
        "HTTP/1.1 404 Not found\r\n\r\n",
        "HTTP/1.1 500 X\r\n\r\n",
        "HTTP/1.1 204 No content\r\n\r\n",
        "HTTP/1.1 206 X\r\n\r\n",
        "HTTP/1.1 304 Not modified\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\n" OK "Content-Length: 0\r\n\r\n",
        "HTTP/1.1 101 Switching protocols\r\nUpgrade: h2c\r\n\r\n",
        "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/1.1 2000 OK\r\n\r\n",
        "HTTP/1.1 200OK\r\n\r\n",
        "HTTP/1.1  200 OK\r\n\r\n",
        "HTTP/1.1 2x0 OK\r\n\r\n",
        "HTTP/2.0 200 OK\r\n\r\n",
        "HTTP/1.1\r\n\r\n",
        "ICY 200 OK\r\n\r\n",
        "220 mx.example.com ESMTP\r\n\r\n",
        "\r\n" OK "Content-Length: 0\r\n\r\n",
    };
    struct err err;

    (void)state;
    CHECK_FAILS(texts);
    (void)judge(slice_of(texts[0]), false, NULL, &err);
    assert_string_equal(err.text, "expected status 200, got 301 Moved "
                                  "(redirects are not followed)");
}

static void
the_media_type_must_be_the_one_expected(void **state)
{
    static const char *const texts[] = {
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Type: text/plainer\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Type: \r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Type: ;text/plain\r\n\r\n",
        OK "Content-Type: text/plain\r\n\r\n",
        OK "Content-Type: text/html\r\n\r\n",
    };
    struct err err;

    (void)state;
    CHECK_FAILS(texts);
    (void)judge(slice_of(texts[1]), false, NULL, &err);
    assert_string_equal(err.text,
                        "expected Content-Type text/plain, got \"text/html\"");
}

static void
encodings_fail(void **state)
{
    static const char *const texts[] = {
        OK "Content-Encoding: gzip\r\n\r\n",
        OK "Content-Encoding: identity, gzip\r\n\r\n",
        OK "Content-Encoding: identity\r\nContent-Encoding: br\r\n\r\n",
        OK "Transfer-Encoding: gzip, chunked\r\n\r\n",
        OK "Transfer-Encoding: gzip\r\n\r\n",
        OK "Transfer-Encoding: chunked, chunked\r\n\r\n",
        OK "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
        OK "Transfer-Encoding: xchunked\r\n\r\n",
        OK "Transfer-Encoding: identity\r\n\r\n",
    };

    (void)state;
    CHECK_FAILS(texts);
}

static void
a_length_in_doubt_fails(void **state)
{
    static const char *const texts[] = {
        OK "Content-Length: 1\r\nContent-Length: 1\r\n\r\n",
        OK "Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
        OK "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        OK "Content-Length: 1, 1\r\n\r\n",
        OK "Content-Length: -1\r\n\r\n",
        OK "Content-Length: 0x1\r\n\r\n",
        OK "Content-Length:\r\n\r\n",
        OK "Content-Length: 65537\r\n\r\n",
        OK "Content-Length: 18446744073709551615\r\n\r\n",
        OK "Content-Length: 18446744073709551617\r\n\r\n",
    };

    (void)state;
    CHECK_FAILS(texts);
}

static void
heads_that_can_be_read_in_two_ways_fail(void **state)
{
    static const char *const texts[] = {
        "HTTP/1.1 200 OK\nContent-Type: text/plain\n\nhello",
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\n\r\n",
        OK "\rX: a\r\n\r\n",
        OK "X: a\rContent-Length: 3\r\n\r\n",
        OK "\r\r\n\r\n",
        OK "X : a\r\n\r\n",
        OK " folded: a\r\n\r\n",
        OK "X: a\r\n b\r\n\r\n",
        OK "no colon\r\n\r\n",
        OK ": a\r\n\r\n",
        OK "X: \x01\r\n\r\n",
    };

    (void)state;
    CHECK_FAILS(texts);
}

static void
chunks_that_are_none_fail(void **state)
{
    static const char *const texts[] = {
        CHUNKED "\r\n",
        CHUNKED "x\r\n",
        CHUNKED "1\na\n0\n\n",
        CHUNKED "1\ra",
        CHUNKED "1\r\nab\r\n",
        CHUNKED "1\r\na\n0\r\n\r\n",
        CHUNKED "10001\r\n",
        CHUNKED "ffffffffffffffff\r\n",
        CHUNKED "1ffffffffffffffff\r\n",
        CHUNKED "0\r\n\rX",
        CHUNKED "0\r\nX: a\r\n\r\n",
        CHUNKED "0\r\nX: a\rY\r\n\r\n",
    };

    (void)state;
    CHECK_FAILS(texts);
}

static enum verdict
judge_many(const char *before, const char *unit, size_t n, const char *behind)
{
    struct buf text = {0};
    struct err err;
    enum verdict v;

    buf_add_text(&text, before);
    for (size_t i = 0; i < n; i++)
        buf_add_text(&text, unit);
    buf_add_text(&text, behind);
    v = judge(buf_slice(&text), false, NULL, &err);
    buf_free(&text);
    return v;
}

static void
keeps_its_limits(void **state)
{
    (void)state;
    assert_int_equal(
        judge_many(OK "Content-Length: 65536\r\n\r\n", "a", 65536, ""), WHOLE);
    assert_int_equal(judge_many(OK "\r\n", "a", 65536, ""), UNFINISHED);
    assert_int_equal(judge_many(OK "\r\n", "a", 65537, ""), FAILED);
    assert_int_equal(judge_many(CHUNKED, "1\r\na\r\n", 65536, "0\r\n\r\n"),
                     WHOLE);
    assert_int_equal(judge_many(CHUNKED, "1\r\na\r\n", 65537, ""), FAILED);
    assert_int_equal(judge_many(CHUNKED "1;", "a", 5000, ""), FAILED);
    assert_int_equal(judge_many(CHUNKED, "1;aaa=bbb\r\na\r\n", 5000, ""),
                     FAILED);
    assert_int_equal(judge_many(CHUNKED, "0", 600000, ""), FAILED);
    assert_int_equal(judge_many(OK, "a: b\r\n", 99, "\r\n"), UNFINISHED);
    assert_int_equal(judge_many(OK, "a: b\r\n", 100, "\r\n"), FAILED);
    assert_int_equal(judge_many(OK "X: ", "a", 20000, ""), FAILED);
    assert_int_equal(judge_many("HTTP/1.1 200 ", "a", 20000, ""), FAILED);
}

static void
what_the_server_says_is_shown_in_one_printable_line(void **state)
{
    struct err err;

    (void)state;
    assert_int_equal(
        judge(slice_of("HTTP/1.1 200 OK\r\nContent-Type: "
                       "a\x80\xff\tbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
                       "cccccccccccccccccccccccccccccccccccccccc\r\n\r\n"),
              false, NULL, &err),
        FAILED);
    for (const char *c = err.text; *c; c++)
        assert_true(*c >= ' ' && *c < 0x7f);
    assert_true(strlen(err.text) < 120);
}

/* Of the answer to a POST the status is all that counts. */
static void
any_success_is_one_without_a_media_type(void **state)
{
    static const struct {
        const char *text;
        bool is_success;
    } rows[] = {
        {"HTTP/1.1 200 OK\r\n\r\n", true},
        {"HTTP/1.1 201 Created\r\nContent-Length: x\r\n\r\n", true},
        {"HTTP/1.1 204 No Content\r\n\r\n", true},
        {"HTTP/1.1 202 OK\r\nContent-Type: x/y\r\n\r\nmore to come", true},
        {"HTTP/1.1 100 Continue\r\n\r\n", false},
        {"HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n", false},
        {"HTTP/1.1 404 Not Found\r\n\r\n", false},
        {"HTTP/1.1 500 Oops\r\n\r\n", false},
        {"HTTP/1.1 20 OK\r\n\r\n", false},
        {"SMTP 200 OK\r\n\r\n", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        scoped(net_http_reply_free) struct net_http_reply *r =
            net_http_reply_new(NULL);
        struct err err = {0};
        bool ok = true;

        for (const char *p = rows[i].text; *p && ok; p++)
            ok = net_http_reply_feed(r, (struct slice){p, 1}, &err);
        if (ok != rows[i].is_success ||
            net_http_reply_is_whole(r) != rows[i].is_success)
            fail_msg("%s: %s", rows[i].text, err.text);
    }
}

/* RFC 6749 section 5.2 has a JSON object in a 400. */
static void
a_refusal_of_the_right_type_is_read_where_that_is_wanted(void **state)
{
    static const struct {
        const char *text, *body;
    } rows[] = {
        {"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\n"
         "Content-Length: 2\r\n\r\nno",
         "no"},
        {"HTTP/1.1 401\r\nContent-Type: text/plain; charset=x\r\n"
         "Transfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n",
         "no"},
        {"HTTP/1.1 400 Bad Request\r\nContent-Type: text/html\r\n"
         "Content-Length: 2\r\n\r\nno",
         NULL},
        {"HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\n\r\nno", NULL},
        {"HTTP/1.1 500 Oops\r\nContent-Type: text/plain\r\n"
         "Content-Length: 2\r\n\r\nno",
         NULL},
        {"HTTP/1.1 302 Found\r\nContent-Type: text/plain\r\n"
         "Content-Length: 2\r\n\r\nno",
         NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        scoped(net_http_reply_free) struct net_http_reply *r =
            net_http_reply_new("text/plain");
        struct err err = {0};
        bool ok = true;

        net_http_reply_hear_refusals(r);
        for (const char *p = rows[i].text; *p && ok; p++)
            ok = net_http_reply_feed(r, (struct slice){p, 1}, &err);
        assert_int_equal(ok, rows[i].body != NULL);
        if (!ok)
            continue;
        assert_true(net_http_reply_is_whole(r));
        assert_true(slice_is(net_http_reply_body(r), rows[i].body));
        assert_non_null(net_http_reply_refusal(r));
        assert_non_null(strstr(net_http_reply_refusal(r)->text, "status 40"));
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_a_body_by_length_or_in_chunks),
        cmocka_unit_test(takes_an_empty_body),
        cmocka_unit_test(a_body_without_length_ends_with_the_connection),
        cmocka_unit_test(an_end_that_comes_early_fails),
        cmocka_unit_test(only_200_is_success),
        cmocka_unit_test(the_media_type_must_be_the_one_expected),
        cmocka_unit_test(encodings_fail),
        cmocka_unit_test(a_length_in_doubt_fails),
        cmocka_unit_test(heads_that_can_be_read_in_two_ways_fail),
        cmocka_unit_test(chunks_that_are_none_fail),
        cmocka_unit_test(keeps_its_limits),
        cmocka_unit_test(what_the_server_says_is_shown_in_one_printable_line),
        cmocka_unit_test(any_success_is_one_without_a_media_type),
        cmocka_unit_test(
            a_refusal_of_the_right_type_is_read_where_that_is_wanted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
