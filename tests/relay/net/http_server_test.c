#include "relay/net/http_server.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define H "Host: a\r\n"
#define GET(path) "GET " path " HTTP/1.1\r\n" H "\r\n"
#define CLOSE "Connection: close\r\n"

enum manner {
    AT_ONCE, /* echoes the request as text */
    LATER,   /* keeps it for the test to answer */
    IN_PARTS,
    ENDLESS, /* parts until they are refused */
    FREES,   /* frees the server, then answers */
    STREAM,  /* as much as there is room for, whenever there is */
    POURS,   /* takes the body in pieces */
};

struct world {
    uv_loop_t loop;
    struct net_http_server *server;
    int client;
    struct buf got;
    bool has_ended; /* the server closed */
    enum manner manner;
    int requests;
    struct net_http_request *kept[4];

    size_t streamed; /* octets */
    bool has_gone;   /* the stream's client */

    /* What a sink has got, and what it is to do. */
    struct buf poured;
    unsigned pieces;
    bool is_whole, is_lost, goes_on, answers_early;
    uint64_t max;
};

static void
echo(struct net_http_request *r)
{
    struct buf out = {0};
    struct slice body = net_http_body(r);
    const char *q = net_http_query(r, "q");
    const char *x = net_http_header(r, "x-a");

    buf_printf(&out, "[%s %s q=%s x=%s body=%.*s]", net_http_method(r),
               net_http_path(r), q ? q : "-", x ? x : "-", (int)body.len,
               body.p);
    net_http_respond(r, 200, "text/plain", &out);
    assert_int_equal(out.len, 0);
    buf_free(&out);
}

static void
in_parts(struct net_http_request *r)
{
    struct buf part = {0};

    net_http_add_header(r, "X-Own", "1");
    net_http_begin(r, 200, "text/csv");
    buf_add_text(&part, "one,");
    assert_true(net_http_part(r, &part));
    assert_true(net_http_part(r, &part)); /* an empty one ends nothing */
    buf_add_text(&part, "twotwotwotwotwotwo");
    assert_true(net_http_part(r, &part));
    net_http_end(r);
    buf_free(&part);
}

static size_t
endless(struct net_http_request *r)
{
    struct buf part = {0};
    size_t n = 0;
    bool goes_on = true;

    net_http_begin(r, 200, "text/csv");
    for (; goes_on && n < 100; n++) {
        memset(buf_room(&part, 100000), 'x', 100000);
        part.len = 100000;
        goes_on = net_http_part(r, &part);
    }
    net_http_end(r);
    buf_free(&part);
    return n;
}

static void
stream(void *ctx)
{
    struct world *w = ctx;
    struct net_http_request *r = w->kept[0];
    struct buf part = {0};

    if (net_http_is_gone(r)) {
        w->has_gone = true;
        net_http_end(r);
        return;
    }
    while (!net_http_is_full(r) && w->streamed < 2000000) {
        memset(buf_room(&part, 10000), 'x', 10000);
        part.len = 10000;
        w->streamed += part.len;
        assert_true(net_http_part(r, &part));
    }
    buf_free(&part);
}

static void
begin_stream(struct world *w, struct net_http_request *r)
{
    w->kept[0] = r;
    net_http_begin(r, 200, "text/event-stream");
    net_http_stream(r, stream, w);
    stream(w);
}

static void
handler(void *ctx, struct net_http_request *r)
{
    struct world *w = ctx;

    w->requests++;
    switch (w->manner) {
    case AT_ONCE:
        echo(r);
        break;
    case LATER:
        w->kept[(w->requests - 1) % 4] = r;
        break;
    case IN_PARTS:
        in_parts(r);
        break;
    case ENDLESS:
        assert_true(endless(r) < 100);
        break;
    case FREES:
        net_http_server_free(&w->server);
        echo(r);
        break;
    case STREAM:
        begin_stream(w, r);
        break;
    case POURS:
        fail(); /* it was met at its head */
        break;
    }
}

static void
poured(void *ctx, struct buf *octets, bool is_last)
{
    struct world *w = ctx;

    assert_false(w->is_whole || w->is_lost);
    buf_add(&w->poured, buf_slice(octets));
    w->pieces++;
    w->is_whole = is_last;
    if (is_last)
        echo(w->kept[0]);
    else if (w->goes_on)
        net_http_more(w->kept[0]);
}

static void
lost(void *ctx)
{
    struct world *w = ctx;

    w->is_lost = true;
}

static void
meet(void *ctx, struct net_http_request *r)
{
    static const struct net_http_sink sink = {poured, lost};
    struct world *w = ctx;

    w->kept[0] = r;
    if (w->answers_early)
        echo(r);
    else if (w->manner == POURS)
        net_http_receive(r, w->max, &sink, w);
}

static void
open_world(struct world *w, enum manner manner)
{
    int fds[2];

    *w = (struct world){.manner = manner};
    uv_loop_init(&w->loop);
    w->server = net_http_server_new(&w->loop, handler, w);
    net_http_server_hear_heads(w->server, meet);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    w->client = fds[1];
    net_http_server_add(w->server, fds[0]);
}

static void
close_world(struct world *w)
{
    close(w->client);
    net_http_server_free(&w->server);
    net_http_server_free(&w->server);
    uv_run(&w->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&w->loop), 0);
    buf_free(&w->got);
    buf_free(&w->poured);
}

static void
open_stream(struct world *w, bool goes_on)
{
    open_world(w, POURS);
    w->goes_on = goes_on;
    w->max = 1000000;
}

/* Lets the server run until nothing comes any more. */
static void
run(struct world *w)
{
    char bytes[65536];
    int quiet = 0;

    while (quiet < 20) {
        ssize_t n = recv(w->client, bytes, sizeof(bytes), MSG_DONTWAIT);

        if (n > 0)
            buf_add(&w->got, (struct slice){bytes, (size_t)n});
        else if (n == 0 || errno == ECONNRESET)
            w->has_ended = true;
        quiet = n > 0 ? 0 : quiet + 1;
        uv_run(&w->loop, UV_RUN_NOWAIT);
    }
}

static void
say(struct world *w, const char *text)
{
    assert_int_equal(send(w->client, text, strlen(text), MSG_NOSIGNAL),
                     strlen(text));
    run(w);
}

static bool
heard(struct world *w, const char *text)
{
    return strstr(buf_text(&w->got), text) != NULL;
}

static int
count(struct world *w, const char *text)
{
    int n = 0;

    for (const char *p = buf_text(&w->got); (p = strstr(p, text)); p++)
        n++;
    return n;
}

static void
answers_one_request_after_the_other(void **state)
{
    struct world w;

    (void)state;
    open_world(&w, AT_ONCE);
    say(&w, GET("/a?q=1%202"));
    assert_true(heard(&w, "HTTP/1.1 200 OK\r\n"));
    assert_true(heard(&w, "\r\nContent-Type: text/plain\r\n"));
    assert_true(heard(&w, "\r\nContent-Length: 24\r\n"));
    assert_true(heard(&w, "\r\nX-Content-Type-Options: nosniff\r\n"));
    assert_true(heard(&w, "default-src 'none'"));
    assert_true(heard(&w, "\r\nDate: "));
    assert_true(heard(&w, "\r\n\r\n[GET /a q=1 2 x=- body=]"));
    assert_false(heard(&w, "Connection: close"));
    say(&w, "POST /b HTTP/1.1\r\n" H "X-A: b\r\nContent-Length: 2\r\n\r\nhi");
    assert_true(heard(&w, "[POST /b q=- x=b body=hi]"));
    assert_false(w.has_ended);
    close_world(&w);
}

static void
takes_a_request_octet_by_octet(void **state)
{
    static const char text[] =
        "POST /b HTTP/1.1\r\n" H "Content-Length: 2\r\n\r\nhi";
    struct world w;

    (void)state;
    open_world(&w, AT_ONCE);
    for (size_t i = 0; i < sizeof(text) - 1; i++) {
        assert_int_equal(w.requests, 0);
        assert_int_equal(send(w.client, text + i, 1, 0), 1);
        run(&w);
    }
    assert_int_equal(w.requests, 1);
    close_world(&w);
}

static void
pipelined_requests_are_handed_over_one_at_a_time(void **state)
{
    struct world w;

    (void)state;
    open_world(&w, LATER);
    say(&w, GET("/1") GET("/2") GET("/3"));
    for (int i = 0; i < 3; i++) {
        assert_int_equal(w.requests, i + 1);
        assert_int_equal(count(&w, "HTTP/1.1 200"), i);
        echo(w.kept[i]);
        run(&w);
    }
    assert_true(heard(&w, "[GET /3 "));
    w.manner = AT_ONCE;
    say(&w, GET("/4") GET("/5") GET("/6") GET("/7"));
    assert_int_equal(w.requests, 7);
    assert_true(heard(&w, "[GET /7 "));
    close_world(&w);
}

static void
a_client_that_has_said_all_is_still_answered(void **state)
{
    for (int later = 0; later < 2; later++) {
        struct world w;

        (void)state;
        open_world(&w, later ? LATER : AT_ONCE);
        assert_true(send(w.client, GET("/1") GET("/2") GET("/3"),
                         strlen(GET("/1")) * 3, 0) > 0);
        shutdown(w.client, SHUT_WR);
        run(&w);
        for (int i = 0; later && i < 3; i++) {
            echo(w.kept[i]);
            run(&w);
        }
        assert_int_equal(count(&w, "HTTP/1.1 200"), 3);
        assert_true(w.has_ended);
        close_world(&w);
    }
}

static void
closes_when_asked_to(void **state)
{
    struct world w;

    (void)state;
    open_world(&w, AT_ONCE);
    say(&w, "GET /1 HTTP/1.1\r\n" H CLOSE "\r\n" GET("/2"));
    assert_true(heard(&w, "\r\nConnection: close\r\n"));
    assert_true(heard(&w, "[GET /1 "));
    assert_true(w.has_ended);
    assert_int_equal(w.requests, 1);
    close_world(&w);
    open_world(&w, AT_ONCE);
    say(&w, "GET /1 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    assert_true(w.has_ended);
    close_world(&w);
}

static void
a_bad_request_is_refused_and_the_connection_closed(void **state)
{
    static const struct {
        const char *text, *line;
    } cases[] = {
        {"GET / HTTP/1.1\nHost: a\n\n", "HTTP/1.1 400 Bad Request\r\n"},
        {"GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 400 Bad Request\r\n"},
        {"PRI * HTTP/2.0\r\n\r\n", "HTTP/1.1 501 Not Implemented\r\n"},
        {"PUT / HTTP/1.1\r\n" H "Content-Length: 99999\r\n\r\n",
         "HTTP/1.1 413 Content Too Large\r\n"},
        {"\x16\x03\x01\x02", "HTTP/1.1 400 Bad Request\r\n"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct world w;

        open_world(&w, AT_ONCE);
        say(&w, cases[i].text);
        assert_true(heard(&w, cases[i].line));
        assert_true(heard(&w, "\r\nConnection: close\r\n"));
        assert_true(w.has_ended);
        assert_int_equal(w.requests, 0);
        close_world(&w);
    }
}

static void
head_gets_the_head_of_get(void **state)
{
    struct world w;

    (void)state;
    open_world(&w, AT_ONCE);
    say(&w, "HEAD /a HTTP/1.1\r\n" H "\r\n");
    assert_true(heard(&w, "\r\nContent-Length: 22\r\n"));
    assert_false(heard(&w, "[GET"));
    w.manner = IN_PARTS;
    say(&w, "HEAD /a HTTP/1.1\r\n" H "\r\n");
    assert_true(heard(&w, "Transfer-Encoding: chunked"));
    assert_false(heard(&w, "one,"));
    w.manner = AT_ONCE;
    say(&w, GET("/b"));
    assert_true(heard(&w, "[GET /b "));
    close_world(&w);
}

static void
invites_the_body_of_a_client_that_waits(void **state)
{
    struct world w;

    (void)state;
    open_world(&w, AT_ONCE);
    say(&w, "PUT /a HTTP/1.1\r\n" H
            "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    assert_string_equal(buf_text(&w.got), "HTTP/1.1 100 Continue\r\n\r\n");
    say(&w, "hi");
    assert_true(heard(&w, "body=hi]"));
    assert_int_equal(count(&w, "100 Continue"), 1);
    close_world(&w);
}

static void
parts_make_chunks(void **state)
{
    struct world w;

    (void)state;
    open_world(&w, IN_PARTS);
    say(&w, GET("/a"));
    assert_true(heard(&w, "\r\nTransfer-Encoding: chunked\r\n"));
    assert_true(heard(&w, "\r\nX-Own: 1\r\n"));
    assert_false(heard(&w, "Content-Length"));
    assert_true(heard(&w, "\r\n\r\n4\r\none,\r\n12\r\ntwotwotwotwotwotwo\r\n"
                          "0\r\n\r\n"));
    assert_false(w.has_ended);
    close_world(&w);
    open_world(&w, IN_PARTS);
    say(&w, "GET /a HTTP/1.0\r\n\r\n");
    assert_true(heard(&w, "\r\n\r\none,twotwotwotwotwotwo"));
    assert_false(heard(&w, "chunked"));
    assert_true(w.has_ended);
    close_world(&w);
}

static void
a_client_that_does_not_read_loses_its_connection(void **state)
{
    struct world w;

    (void)state;
    open_world(&w, ENDLESS);
    assert_true(send(w.client, GET("/a"), strlen(GET("/a")), 0) > 0);
    for (int i = 0; i < 50; i++)
        uv_run(&w.loop, UV_RUN_NOWAIT);
    assert_int_equal(w.requests, 1);
    run(&w);
    assert_true(w.has_ended);
    close_world(&w);
}

static void
a_stream_goes_on_at_the_pace_of_its_reader(void **state)
{
    struct world w;
    size_t before;

    (void)state;
    open_world(&w, STREAM);
    assert_int_equal(send(w.client, GET("/"), strlen(GET("/")), 0),
                     strlen(GET("/")));
    for (int i = 0; i < 20; i++)
        uv_run(&w.loop, UV_RUN_NOWAIT);
    before = w.streamed;
    assert_in_range(before, 1, 1024 * 1024);
    for (int i = 0; i < 20; i++) { /* nobody reads, and nothing grows */
        uv_run(&w.loop, UV_RUN_NOWAIT);
    }
    assert_int_equal(w.streamed, before);
    assert_true(net_http_is_full(w.kept[0]));
    for (int i = 0; i < 1000 && w.streamed == before; i++) {
        char bytes[65536];

        (void)!recv(w.client, bytes, sizeof(bytes), MSG_DONTWAIT);
        uv_run(&w.loop, UV_RUN_NOWAIT);
    }
    assert_true(w.streamed > before);
    run(&w); /* all there is */
    assert_false(w.has_gone);
    shutdown(w.client, SHUT_WR);
    run(&w);
    assert_true(w.has_gone);
    close_world(&w);
}

static void
a_long_response_arrives_whole(void **state)
{
    enum { SIZE = 3000000 };
    struct world w;
    struct buf part = {0};

    (void)state;
    open_world(&w, LATER);
    say(&w, GET("/a") GET("/b"));
    memset(buf_room(&part, SIZE), 'x', SIZE);
    part.len = SIZE;
    net_http_respond(w.kept[0], 200, "text/plain", &part);
    run(&w);
    assert_true(w.got.len > SIZE);
    net_http_begin(w.kept[1], 200, "text/plain");
    for (int i = 0; i < SIZE / 1000; i++) {
        memset(buf_room(&part, 1000), 'y', 1000);
        part.len = 1000;
        assert_true(net_http_part(w.kept[1], &part));
    }
    net_http_end(w.kept[1]);
    run(&w);
    assert_true(w.got.len > 2u * SIZE);
    assert_memory_equal(w.got.p + w.got.len - 5, "0\r\n\r\n", 5);
    buf_free(&part);
    close_world(&w);
}

static void
a_request_outlives_its_connection(void **state)
{
    struct world w;
    struct buf part = {0};

    (void)state;
    open_world(&w, LATER);
    say(&w, GET("/a"));
    close(w.client);
    w.client = -1;
    for (int i = 0; i < 20; i++)
        uv_run(&w.loop, UV_RUN_NOWAIT);
    assert_string_equal(net_http_path(w.kept[0]), "/a");
    assert_int_equal(net_http_peer(w.kept[0])->any.sa_family, AF_UNSPEC);
    echo(w.kept[0]);
    close_world(&w);

    open_world(&w, LATER);
    say(&w, GET("/a"));
    net_http_server_free(&w.server);
    run(&w);
    assert_true(w.has_ended);
    net_http_begin(w.kept[0], 200, "text/plain");
    buf_add_text(&part, "x");
    assert_false(net_http_part(w.kept[0], &part));
    net_http_end(w.kept[0]);
    buf_free(&part);
    close_world(&w);
}

static void
the_server_may_be_freed_by_its_handler(void **state)
{
    struct world w;

    (void)state;
    open_world(&w, FREES);
    say(&w, GET("/a") GET("/b"));
    assert_true(w.has_ended);
    assert_int_equal(w.requests, 1);
    close_world(&w);
}

static void
one_connection_too_many_gets_a_503(void **state)
{
    struct world w;
    int fds[2], clients[NET_HTTP_SESSIONS_MAX];
    char text[300] = "";

    (void)state;
    open_world(&w, AT_ONCE);
    for (int i = 1; i < NET_HTTP_SESSIONS_MAX; i++) {
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
        clients[i] = fds[1];
        net_http_server_add(w.server, fds[0]);
    }
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    net_http_server_add(w.server, fds[0]);
    assert_true(recv(fds[1], text, sizeof(text) - 1, 0) > 0);
    assert_non_null(strstr(text, "HTTP/1.1 503 Service Unavailable\r\n"));
    close(fds[1]);
    close(clients[1]);
    run(&w);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    net_http_server_add(w.server, fds[0]);
    clients[1] = w.client;
    w.client = fds[1];
    say(&w, GET("/a"));
    assert_true(heard(&w, "[GET /a "));
    for (int i = 1; i < NET_HTTP_SESSIONS_MAX; i++)
        close(clients[i]);
    close_world(&w);
}

/* --- bodies in pieces --- */

#define POST(fields) "POST /b HTTP/1.1\r\n" H fields "\r\n"

static void
a_long_body_comes_in_pieces(void **state)
{
    struct buf body = {0};
    struct world w;

    (void)state;
    open_stream(&w, true);
    memset(buf_room(&body, 400000), 'x', 400000);
    body.len = 400000;
    say(&w, POST("Content-Length: 400000\r\n"));
    for (size_t i = 0; i < 4; i++) {
        assert_false(w.is_whole);
        assert_int_equal(send(w.client, body.p, 100000, 0), 100000);
        run(&w);
    }
    assert_true(w.is_whole);
    assert_true(w.pieces > 3);
    assert_int_equal(w.poured.len, 400000);
    assert_true(heard(&w, "[POST /b "));
    w.is_whole = false;
    say(&w, POST("Transfer-Encoding: chunked\r\n") "3\r\nabc\r\n");
    say(&w, "2\r\nde\r\n0\r\n\r\n");
    assert_true(w.is_whole);
    assert_memory_equal(w.poured.p + 400000, "abcde", 5);
    assert_false(w.has_ended);
    buf_free(&body);
    close_world(&w);
}

/* Until it is asked for, the next piece stays with the client. */
static void
a_sink_gets_no_more_than_it_asks_for(void **state)
{
    struct buf body = {0};
    struct world w;
    size_t sent = 0;
    ssize_t n;

    (void)state;
    open_stream(&w, false);
    w.max = 64 * 1024 * 1024;
    memset(buf_room(&body, 100000), 'x', 100000);
    body.len = 100000;
    say(&w, POST("Content-Length: 60000000\r\n"));
    do {
        n = send(w.client, body.p, body.len, MSG_DONTWAIT | MSG_NOSIGNAL);
        sent += n > 0 ? (size_t)n : 0;
        run(&w);
    } while (n > 0);
    assert_int_equal(w.pieces, 1);
    assert_true(w.poured.len <= 64 * 1024 && sent < 4000000);
    net_http_more(w.kept[0]);
    run(&w);
    assert_int_equal(w.pieces, 2);
    close(w.client);
    w.client = open("/dev/null", O_RDONLY);
    for (int i = 0; i < 1000 && !w.is_lost; i++) {
        net_http_more(w.kept[0]);
        uv_run(&w.loop, UV_RUN_NOWAIT);
    }
    assert_true(w.is_lost);
    echo(w.kept[0]); /* into the void */
    buf_free(&body);
    close_world(&w);
}

static void
a_body_that_breaks_off_is_lost(void **state)
{
    struct world w;

    (void)state;
    open_stream(&w, true);
    say(&w, POST("Content-Length: 10\r\n") "12345");
    shutdown(w.client, SHUT_WR);
    run(&w);
    assert_true(w.is_lost);
    assert_true(w.has_ended);
    assert_memory_equal(w.poured.p, "12345", 5);
    echo(w.kept[0]);
    close_world(&w);
}

static void
what_is_too_long_is_refused_as_soon_as_that_is_known(void **state)
{
    static const char *const text[] = {
        POST("Content-Length: 11\r\n"),
        POST("Content-Length: 18446744073709551615\r\n"),
        POST("Content-Length: 18446744073709551616\r\n"),
        POST("Transfer-Encoding: chunked\r\n") "b\r\n",
        POST("Transfer-Encoding: chunked\r\n") "9\r\n123456789\r\n2\r\n",
        POST("Transfer-Encoding: chunked\r\n") "ffffffffffffffff\r\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(text) / sizeof(text[0]); i++) {
        struct world w;

        open_stream(&w, true);
        w.max = 10;
        say(&w, text[i]);
        if (!heard(&w, "HTTP/1.1 413 ") || !w.has_ended)
            fail_msg("%s", text[i]);
        assert_false(w.is_whole);
        if (w.is_lost)
            echo(w.kept[0]);
        close_world(&w);
    }
}

static void
who_is_refused_at_the_head_is_not_invited(void **state)
{
    struct world w;

    (void)state;
    open_stream(&w, true);
    w.answers_early = true;
    say(&w, POST("Expect: 100-continue\r\nContent-Length: 10\r\n"));
    assert_true(heard(&w, "[POST /b "));
    assert_true(heard(&w, "\r\nConnection: close\r\n"));
    assert_false(heard(&w, "100 Continue"));
    assert_true(w.has_ended);
    close_world(&w);
    open_stream(&w, true);
    say(&w, POST("Expect: 100-continue\r\nContent-Length: 10\r\n"));
    assert_true(heard(&w, "100 Continue"));
    say(&w, "0123456789");
    assert_true(w.is_whole);
    close_world(&w);
}

static void
whom_nobody_wants_to_meet_is_handled_whole(void **state)
{
    struct world w;

    (void)state;
    open_world(&w, AT_ONCE);
    say(&w, POST("Content-Length: 2\r\n"));
    assert_int_equal(w.requests, 0);
    say(&w,
        "hi" POST("Transfer-Encoding: chunked\r\n") "2\r\nho\r\n0\r\n\r\n" GET(
            "/c"));
    assert_int_equal(w.requests, 3);
    assert_true(heard(&w, "body=hi]"));
    assert_true(heard(&w, "body=ho]"));
    assert_true(heard(&w, "[GET /c "));
    say(&w, POST("Content-Length: 65537\r\n"));
    assert_true(heard(&w, "HTTP/1.1 413 "));
    close_world(&w);
}

static void
the_server_may_end_in_the_middle_of_a_body(void **state)
{
    struct world w;

    (void)state;
    open_stream(&w, true);
    say(&w, POST("Content-Length: 10\r\n") "12345");
    net_http_server_free(&w.server);
    assert_true(w.is_lost);
    net_http_more(w.kept[0]);
    echo(w.kept[0]);
    close_world(&w);
}

/* The loop's own clock can't be moved, so this takes as long as it says. */
static void
slow_and_silent_clients_are_closed(void **state)
{
    struct world w, idle, slow;
    uint64_t until;

    (void)state;
    open_world(&w, AT_ONCE);
    open_world(&idle, AT_ONCE);
    open_stream(&slow, true);
    say(&slow, POST("Content-Length: 10000\r\n"));
    say(&w, "GET / HTTP/1.1\r\nHo");
    until = uv_hrtime() + (NET_HTTP_LIMIT_MS + 500) * 1000000ull;
    for (int i = 0; uv_hrtime() < until; i++) {
        if (i % 100 == 0 && !w.has_ended)
            (void)!send(w.client, "x", 1, MSG_NOSIGNAL);
        if (i % 100 == 0 && !slow.has_ended)
            (void)!send(slow.client, "x", 1, MSG_NOSIGNAL);
        run(&w);
        run(&idle);
        run(&slow);
        usleep(10000);
    }
    assert_true(heard(&w, "HTTP/1.1 408 Request Timeout\r\n"));
    assert_true(w.has_ended);
    assert_true(idle.has_ended);
    assert_int_equal(idle.got.len, 0);
    assert_true(heard(&slow, "HTTP/1.1 408 Request Timeout\r\n"));
    assert_true(slow.is_lost);
    echo(slow.kept[0]);
    close_world(&w);
    close_world(&idle);
    close_world(&slow);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_one_request_after_the_other),
        cmocka_unit_test(takes_a_request_octet_by_octet),
        cmocka_unit_test(pipelined_requests_are_handed_over_one_at_a_time),
        cmocka_unit_test(a_client_that_has_said_all_is_still_answered),
        cmocka_unit_test(closes_when_asked_to),
        cmocka_unit_test(a_bad_request_is_refused_and_the_connection_closed),
        cmocka_unit_test(head_gets_the_head_of_get),
        cmocka_unit_test(invites_the_body_of_a_client_that_waits),
        cmocka_unit_test(parts_make_chunks),
        cmocka_unit_test(a_client_that_does_not_read_loses_its_connection),
        cmocka_unit_test(a_stream_goes_on_at_the_pace_of_its_reader),
        cmocka_unit_test(a_long_response_arrives_whole),
        cmocka_unit_test(a_request_outlives_its_connection),
        cmocka_unit_test(the_server_may_be_freed_by_its_handler),
        cmocka_unit_test(one_connection_too_many_gets_a_503),
        cmocka_unit_test(a_long_body_comes_in_pieces),
        cmocka_unit_test(a_sink_gets_no_more_than_it_asks_for),
        cmocka_unit_test(a_body_that_breaks_off_is_lost),
        cmocka_unit_test(what_is_too_long_is_refused_as_soon_as_that_is_known),
        cmocka_unit_test(who_is_refused_at_the_head_is_not_invited),
        cmocka_unit_test(whom_nobody_wants_to_meet_is_handled_whole),
        cmocka_unit_test(the_server_may_end_in_the_middle_of_a_body),
        cmocka_unit_test(slow_and_silent_clients_are_closed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
