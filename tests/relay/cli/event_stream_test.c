#include "relay/cli/event_stream.h"

#include "relay/base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define HEAD "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

static void
note(void *ctx, struct slice data)
{
    buf_printf(ctx, "[%.*s]", (int)data.len, data.p);
}

/* What comes out of `text`, fed in two pieces. */
static bool
read_cut(const char *text, size_t at, struct buf *out,
         struct cli_event_stream **s)
{
    struct slice all = slice_of(text);
    struct slice pieces[] = {slice_first(all, at), slice_from(all, at)};
    struct err err;

    *s = cli_event_stream_new(note, out);
    return cli_event_stream_feed(*s, pieces[0], &err) &&
           cli_event_stream_feed(*s, pieces[1], &err);
}

static void
events_are_read_however_they_are_cut(void **state)
{
    static const char text[] = HEAD "d\r\nretry: 2000\n\n\r\n"
                                    "3\r\n:\n\n\r\n"
                                    "19\r\nid: 1\nevent: x\ndata: {1}\n\r\n"
                                    "d\r\n\ndata:{2}\n\nid\r\n"
                                    "3\r\n\n\n\n\r\n"
                                    "0\r\n\r\n";

    (void)state;
    for (size_t at = 0; at <= strlen(text); at++) {
        struct cli_event_stream *s scoped(cli_event_stream_free) = NULL;
        struct buf out scoped(buf_free) = {0};

        assert_true(read_cut(text, at, &out, &s));
        assert_string_equal(buf_text(&out), "[{1}][{2}]");
        assert_true(cli_event_stream_is_over(s));
        assert_int_equal(cli_event_stream_status(s), 200);
    }
}

static void
an_event_without_its_end_has_not_come(void **state)
{
    struct cli_event_stream *s scoped(cli_event_stream_free) = NULL;
    struct buf out scoped(buf_free) = {0};

    (void)state;
    assert_true(read_cut(HEAD "a\r\ndata: {1}\n\r\n", 3, &out, &s));
    assert_int_equal(out.len, 0);
    assert_false(cli_event_stream_is_over(s));
}

static void
a_refusal_is_kept_and_no_event(void **state)
{
    static const char text[] = "HTTP/1.1 503 Service Unavailable\r\n"
                               "Content-Length: 12\r\n\r\ndata: x\n\n{}\n";

    (void)state;
    for (size_t at = 0; at <= strlen(text); at++) {
        struct cli_event_stream *s scoped(cli_event_stream_free) = NULL;
        struct buf out scoped(buf_free) = {0};
        struct slice said;

        assert_true(read_cut(text, at, &out, &s));
        assert_int_equal(out.len, 0);
        assert_int_equal(cli_event_stream_status(s), 503);
        said = cli_event_stream_refusal(s);
        assert_true(slice_is(said, "data: x\n\n{}\n"));
    }
}

static void
what_is_no_http_or_too_long_is_refused(void **state)
{
    struct cli_event_stream *s scoped(cli_event_stream_free) = NULL;
    struct cli_event_stream *t scoped(cli_event_stream_free) = NULL;
    char *line scoped(own_free) = mem_zeroed(1, CLI_EVENT_LINE_MAX + 2);
    struct buf out scoped(buf_free) = {0};
    struct err err;

    (void)state;
    assert_false(read_cut("220 mx.example ESMTP\r\n", 4, &out, &s));
    assert_true(read_cut("HTTP/1.0 200 OK\r\n\r\n", 4, &out, &t));
    memset(line, 'x', CLI_EVENT_LINE_MAX + 1);
    assert_false(cli_event_stream_feed(t, slice_of(line), &err));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_are_read_however_they_are_cut),
        cmocka_unit_test(an_event_without_its_end_has_not_come),
        cmocka_unit_test(a_refusal_is_kept_and_no_event),
        cmocka_unit_test(what_is_no_http_or_too_long_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
