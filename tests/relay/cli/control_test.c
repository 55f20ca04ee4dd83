#include "relay/cli/control.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Feeds `text` in two pieces, cut at `at`.  0: not whole; -1: refused. */
static int
read_cut(const char *text, size_t at, struct cli_answer *out)
{
    struct cli_reader *r = cli_reader_new(out);
    struct slice all = slice_of(text);
    struct slice pieces[] = {slice_first(all, at), slice_from(all, at)};
    struct err err;
    bool whole = false;
    int status = 0;

    *out = (struct cli_answer){0};
    for (size_t i = 0; i < 2 && !whole && status == 0; i++)
        if (!cli_reader_feed(r, pieces[i], &whole, &err))
            status = -1;
    if (!whole && status == 0)
        status = cli_reader_end(r, &err) ? out->status : 0;
    cli_reader_free(&r);
    return whole ? out->status : status;
}

static void
answers_are_read_however_they_are_cut(void **state)
{
    static const struct {
        const char *text;
        int status;
        const char *body;
    } cases[] = {
        {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, "hello"},
        {"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", 404, ""},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
         "3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n",
         200, "hello"},
        {"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello", 200, "hello"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        for (size_t at = 0; at <= strlen(cases[i].text); at++) {
            struct cli_answer a;

            assert_int_equal(read_cut(cases[i].text, at, &a), cases[i].status);
            assert_string_equal(buf_text(&a.body), cases[i].body);
            cli_answer_done(&a);
        }
}

static void
half_an_answer_is_none(void **state)
{
    static const char whole[] =
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

    (void)state;
    for (size_t n = 0; n + 1 < sizeof(whole); n++) {
        struct cli_answer a;
        char part[sizeof(whole)];

        memcpy(part, whole, n);
        part[n] = '\0';
        assert_int_equal(read_cut(part, n / 2, &a), 0);
        cli_answer_done(&a);
    }
}

static void
what_is_no_http_is_refused(void **state)
{
    struct cli_answer a;

    (void)state;
    assert_int_equal(read_cut("220 relay ESMTP\r\n", 3, &a), -1);
    cli_answer_done(&a);
}

static void
nobody_there_is_told_apart(void **state)
{
    struct cli_answer a;
    struct err err;
    char path[200];

    (void)state;
    assert_false(cli_control_ask("/nonexistent/control.sock", "GET", "/", NULL,
                                 &a, &err));
    assert_int_equal(err.kind, ERR_MISSING);
    memset(path, 'x', sizeof(path) - 1);
    path[sizeof(path) - 1] = '\0';
    assert_false(cli_control_ask(path, "GET", "/", NULL, &a, &err));
    assert_int_equal(err.kind, ERR_INPUT);
}

static void
only_plain_octets_stand_in_an_address(void **state)
{
    struct buf url = {0};

    (void)state;
    cli_url_add(&url, "a b&c=/?%#\r\n\xc3\xbc@x.example");
    assert_string_equal(buf_text(&url),
                        "a%20b%26c%3D%2F%3F%25%23%0D%0A%C3%BC@x.example");
    buf_free(&url);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_are_read_however_they_are_cut),
        cmocka_unit_test(half_an_answer_is_none),
        cmocka_unit_test(what_is_no_http_is_refused),
        cmocka_unit_test(nobody_there_is_told_apart),
        cmocka_unit_test(only_plain_octets_stand_in_an_address),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
