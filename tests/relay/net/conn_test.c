#include "relay/net/conn.h"

#include "relay/base/mem.h"
#include "relay/base/own.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum call { NO_CALL, INPUT, DRAINED, LATE, ENDED };

struct owner {
    uv_loop_t loop;
    struct net_conn *conn;
    int peer; /* the other end: a blocking socket of the test */
    int inputs, drains, lates, ends;
    struct err err; /* of the end */
    struct buf got;
    size_t eats;         /* octets used a call; 0: all */
    bool refuses;        /* uses nothing */
    enum call closes_in; /* the callback that closes */
    bool echoes, asks_for_more;
};

static void
at(struct owner *o, enum call call)
{
    assert_non_null(o->conn); /* no callback behind the close */
    if (o->closes_in == call)
        net_conn_close(&o->conn, 0);
}

static size_t
input(void *ctx, struct slice in)
{
    struct owner *o = ctx;
    size_t used = o->eats && o->eats < in.len ? o->eats : in.len;

    assert_true(in.len > 0);
    o->inputs++;
    if (o->refuses)
        used = 0;
    buf_add(&o->got, slice_first(in, used));
    if (o->echoes) {
        struct buf out = {0};

        buf_add(&out, slice_first(in, used));
        net_conn_send(o->conn, &out);
        assert_int_equal(out.len, 0);
        buf_free(&out);
    }
    if (o->asks_for_more && used < in.len)
        net_conn_more(o->conn);
    at(o, INPUT);
    return used;
}

static void
secured(void *ctx, const struct err *err)
{
    (void)ctx, (void)err;
    fail();
}

static void
drained(void *ctx)
{
    struct owner *o = ctx;

    o->drains++;
    at(o, DRAINED);
}

static void
late(void *ctx)
{
    struct owner *o = ctx;

    o->lates++;
    at(o, LATE);
}

static void
ended(void *ctx, const struct err *err)
{
    struct owner *o = ctx;

    o->ends++;
    if (err)
        o->err = *err;
    at(o, ENDED);
}

static const struct net_conn_events events = {input, secured, drained, late,
                                              ended};

/* Two connected TCP sockets. */
static void
tcp_pair(int fds[2])
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof(a);
    scoped(own_close) int door = socket(AF_INET, SOCK_STREAM, 0);

    assert_int_equal(bind(door, (struct sockaddr *)&a, len), 0);
    assert_int_equal(listen(door, 1), 0);
    assert_int_equal(getsockname(door, (struct sockaddr *)&a, &len), 0);
    fds[1] = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fds[1], (struct sockaddr *)&a, len), 0);
    fds[0] = accept(door, NULL, NULL);
    assert_true(fds[0] >= 0);
}

static void
begin(struct owner *o)
{
    int fds[2];

    *o = (struct owner){0};
    tcp_pair(fds);
    o->peer = fds[1];
    assert_int_equal(uv_loop_init(&o->loop), 0);
    o->conn = net_conn_new(&o->loop, fds[0], &events, o);
    net_conn_open(o->conn);
}

static void
turns(struct owner *o, int n)
{
    while (n-- > 0)
        uv_run(&o->loop, UV_RUN_NOWAIT);
}

static void
end(struct owner *o)
{
    net_conn_close(&o->conn, 0);
    assert_null(o->conn);
    net_conn_close(&o->conn, 0);
    uv_run(&o->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&o->loop), 0);
    own_close(&o->peer);
    buf_free(&o->got);
}

static void
say(struct owner *o, const char *text)
{
    assert_int_equal(send(o->peer, text, strlen(text), MSG_NOSIGNAL),
                     strlen(text));
    usleep(1000);
}

static void
send_text(struct owner *o, const char *text)
{
    struct buf out = {0};

    buf_add_text(&out, text);
    net_conn_send(o->conn, &out);
    assert_int_equal(out.len, 0);
    buf_free(&out);
}

static void
send_zeros(struct owner *o, size_t n)
{
    struct buf out = {0};

    memset(buf_room(&out, n), 'x', n);
    out.len = n;
    net_conn_send(o->conn, &out);
    assert_int_equal(out.len, 0);
    buf_free(&out);
}

static bool
hears(struct owner *o, const char *text)
{
    char got[256] = {0};
    ssize_t n = recv(o->peer, got, sizeof(got) - 1, MSG_DONTWAIT);

    return n == (ssize_t)strlen(text) && strcmp(got, text) == 0;
}

static void
reset_from_peer(struct owner *o)
{
    struct linger hard = {1, 0};

    setsockopt(o->peer, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
    own_close(&o->peer);
    usleep(1000);
}

static void
it_echoes_and_tells_the_end(void **state)
{
    struct owner o;

    (void)state;
    begin(&o);
    o.echoes = true;
    assert_true(addr_is_loopback(net_conn_peer(o.conn)));
    say(&o, "hello");
    turns(&o, 1);
    assert_true(hears(&o, "hello"));
    shutdown(o.peer, SHUT_WR);
    turns(&o, 2);
    assert_int_equal(o.ends, 1);
    assert_int_equal(o.err.kind, ERR_NONE);
    turns(&o, 3);
    assert_int_equal(o.ends, 1);
    end(&o);
}

static void
nothing_is_read_before_open(void **state)
{
    struct owner o;
    int fds[2];

    (void)state;
    o = (struct owner){0};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    o.peer = fds[1];
    uv_loop_init(&o.loop);
    o.conn = net_conn_new(&o.loop, fds[0], &events, &o);
    assert_int_equal(net_conn_peer(o.conn)->any.sa_family, AF_UNSPEC);
    say(&o, "early");
    turns(&o, 3);
    assert_int_equal(o.inputs, 0);
    send_text(&o, "banner");
    assert_true(hears(&o, "banner"));
    net_conn_open(o.conn);
    turns(&o, 1);
    assert_int_equal(o.inputs, 1);
    end(&o);
}

static void
no_callback_comes_from_inside_a_call(void **state)
{
    struct owner o;

    (void)state;
    begin(&o);
    o.refuses = true;
    say(&o, "kept");
    turns(&o, 1);
    assert_int_equal(o.inputs, 1);
    net_conn_more(o.conn);
    assert_int_equal(o.inputs, 1);
    net_conn_limit(o.conn, 1);
    reset_from_peer(&o);
    send_text(&o, "into the void");
    send_text(&o, "and once more");
    assert_int_equal(o.ends + o.lates, 0);
    end(&o);
}

static void
what_is_left_is_given_again_with_more_behind_it(void **state)
{
    struct owner o;

    (void)state;
    begin(&o);
    o.eats = 2;
    say(&o, "abcde");
    turns(&o, 3);
    assert_int_equal(o.inputs, 1);
    assert_true(net_conn_has_kept(o.conn));
    say(&o, "fgh");
    turns(&o, 1);
    assert_int_equal(o.inputs, 2);
    assert_true(slice_is(buf_slice(&o.got), "abcd"));
    o.asks_for_more = true;
    net_conn_more(o.conn);
    turns(&o, 5);
    assert_true(slice_is(buf_slice(&o.got), "abcdefgh"));
    assert_false(net_conn_has_kept(o.conn));
    net_conn_more(o.conn);
    turns(&o, 2);
    assert_int_equal(o.inputs, 4); /* never with nothing */
    end(&o);
}

static void
kept_input_may_be_asked_for_behind_the_end(void **state)
{
    struct owner o;

    (void)state;
    begin(&o);
    o.eats = 1;
    say(&o, "ab");
    shutdown(o.peer, SHUT_WR);
    turns(&o, 3);
    assert_int_equal(o.ends, 1);
    net_conn_more(o.conn);
    turns(&o, 2);
    assert_true(slice_is(buf_slice(&o.got), "ab"));
    send_text(&o, "still");
    assert_true(hears(&o, "still"));
    end(&o);
}

static void
reading_pauses_while_64_kb_wait(void **state)
{
    struct owner o;
    char block[4096] = {0};
    size_t sent = 0;

    (void)state;
    begin(&o);
    o.refuses = true;
    fcntl(o.peer, F_SETFL, O_NONBLOCK);
    for (int i = 0; i < 200; i++) {
        ssize_t n = send(o.peer, block, sizeof(block), MSG_NOSIGNAL);

        if (n > 0)
            sent += (size_t)n;
        turns(&o, 1);
    }
    assert_true(sent > 128 * 1024);
    assert_int_equal(o.got.len, 0);
    o.inputs = 0;
    turns(&o, 10);
    assert_int_equal(o.inputs, 0);
    o.refuses = false;
    net_conn_more(o.conn);
    turns(&o, 100);
    assert_int_equal(o.got.len, sent);
    end(&o);
}

static void
a_full_output_pauses_reading_until_it_drains(void **state)
{
    struct owner o;
    char block[64 * 1024];
    size_t total = 0, heard = 0;

    (void)state;
    begin(&o);
    fcntl(o.peer, F_SETFL, O_NONBLOCK);
    while (!net_conn_is_full(o.conn)) {
        send_zeros(&o, 50000);
        total += 50000;
    }
    say(&o, "are you there");
    turns(&o, 5);
    assert_int_equal(o.inputs, 0);
    assert_int_equal(o.drains, 0);
    while (heard < total) {
        ssize_t n = recv(o.peer, block, sizeof(block), 0);

        if (n > 0)
            heard += (size_t)n;
        turns(&o, 1);
    }
    turns(&o, 2);
    assert_int_equal(heard, total);
    assert_int_equal(o.drains, 1);
    assert_int_equal(o.inputs, 1);
    assert_false(net_conn_is_full(o.conn));
    end(&o);
}

/* 50 MB through a connection whose owner heeds is_full. */
static void
a_big_transfer_arrives_whole_in_bounded_memory(void **state)
{
    enum { TOTAL = 50 * 1024 * 1024, BLOCK = 30011 };
    static char block[BLOCK], back[BLOCK];
    size_t sent = 0, heard = 0;
    struct owner o;

    (void)state;
    for (size_t i = 0; i < BLOCK; i++)
        block[i] = (char)(i * 7 % 251);
    begin(&o);
    fcntl(o.peer, F_SETFL, O_NONBLOCK);
    while (heard < TOTAL) {
        ssize_t n;

        while (sent < TOTAL && !net_conn_is_full(o.conn)) {
            struct slice part =
                slice_from((struct slice){block, BLOCK}, sent % BLOCK);
            struct buf out = {0};

            part = slice_first(part, TOTAL - sent);
            buf_add(&out, part);
            sent += part.len;
            net_conn_send(o.conn, &out);
            buf_free(&out);
        }
        turns(&o, 1);
        n = recv(o.peer, back, BLOCK - heard % BLOCK, 0);
        if (n > 0) {
            assert_memory_equal(back, block + heard % BLOCK, (size_t)n);
            heard += (size_t)n;
        }
    }
    assert_true(o.drains > 0);
    end(&o);
}

static void
a_limit_passes_once(void **state)
{
    struct owner o;

    (void)state;
    begin(&o);
    net_conn_limit(o.conn, 20);
    while (!o.lates)
        uv_run(&o.loop, UV_RUN_ONCE);
    usleep(30000);
    turns(&o, 3);
    assert_int_equal(o.lates, 1);
    end(&o);
}

static void
each_limit_starts_anew(void **state)
{
    struct owner o;
    uint64_t before;

    (void)state;
    begin(&o);
    for (int i = 0; i < 10; i++) {
        net_conn_limit(o.conn, 400); /* ten of them take longer */
        usleep(50000);
        turns(&o, 1);
    }
    assert_int_equal(o.lates, 0);
    net_conn_limit(o.conn, 60000);
    net_conn_limit(o.conn, 5); /* earlier than the alarm that is set */
    before = uv_hrtime();
    while (!o.lates)
        uv_run(&o.loop, UV_RUN_ONCE);
    assert_true(uv_hrtime() - before < 2000ULL * 1000000);
    o.lates = 0;
    net_conn_limit(o.conn, 5);
    net_conn_limit(o.conn, 0);
    usleep(15000);
    turns(&o, 3);
    assert_int_equal(o.lates, 0);
    end(&o);
}

static void
the_owner_may_close_in_every_callback(void **state)
{
    (void)state;
    for (enum call call = INPUT; call <= ENDED; call++) {
        char block[65536];
        struct owner o;

        begin(&o);
        o.closes_in = call;
        if (call == INPUT)
            say(&o, "x");
        if (call == LATE)
            net_conn_limit(o.conn, 1);
        if (call == ENDED)
            own_close(&o.peer);
        if (call == DRAINED) {
            fcntl(o.peer, F_SETFL, O_NONBLOCK);
            while (!net_conn_is_full(o.conn))
                send_zeros(&o, 65536);
        }
        for (int i = 0; o.conn && i < 10000; i++) {
            turns(&o, 1);
            usleep(100);
            if (call == DRAINED)
                (void)recv(o.peer, block, sizeof(block), 0);
        }
        assert_null(o.conn);
        assert_int_equal(o.inputs + o.drains + o.lates + o.ends, 1);
        end(&o);
    }
}

static void
a_reset_is_an_end_with_a_reason_behind_the_last_input(void **state)
{
    struct owner o;

    (void)state;
    begin(&o);
    reset_from_peer(&o);
    turns(&o, 3);
    assert_int_equal(o.ends, 1);
    assert_int_equal(o.err.kind, ERR_SYSTEM);
    end(&o);

    begin(&o);
    say(&o, "421 bye\r\n");
    own_close(&o.peer);
    for (int i = 0; i < 3; i++) {
        send_text(&o, "QUIT\r\n");
        usleep(2000);
    }
    turns(&o, 5);
    assert_true(slice_is(buf_slice(&o.got), "421 bye\r\n"));
    assert_int_equal(o.ends, 1);
    assert_int_equal(o.err.kind, ERR_SYSTEM);
    end(&o);
}

static void
a_peer_that_is_gone_already_is_no_local_peer(void **state)
{
    struct owner o = {0};
    int fds[2];

    (void)state;
    tcp_pair(fds);
    o.peer = fds[1];
    say(&o, "MAIL FROM:<>\r\n");
    reset_from_peer(&o);
    uv_loop_init(&o.loop);
    o.conn = net_conn_new(&o.loop, fds[0], &events, &o);
    assert_int_equal(net_conn_peer(o.conn)->any.sa_family, AF_INET);
    assert_false(addr_is_loopback(net_conn_peer(o.conn)));
    net_conn_open(o.conn);
    turns(&o, 3);
    assert_int_equal(o.ends, 1);
    end(&o);
}

/* Runs the loop until it has nothing left to do. */
static uint64_t
finish(struct owner *o)
{
    uint64_t before = uv_hrtime();

    assert_null(o->conn);
    uv_run(&o->loop, UV_RUN_DEFAULT);
    return (uv_hrtime() - before) / 1000000;
}

static void
a_close_flushes_in_the_background(void **state)
{
    struct owner o;
    char block[65536];
    size_t total = 0, heard = 0;
    ssize_t n = 1;

    (void)state;
    begin(&o);
    while (!net_conn_is_full(o.conn)) {
        send_zeros(&o, 65536);
        total += 65536;
    }
    net_conn_close(&o.conn, 10000);
    while (n > 0) {
        turns(&o, 1);
        n = recv(o.peer, block, sizeof(block), 0);
        heard += n > 0 ? (size_t)n : 0;
    }
    assert_int_equal(heard, total);
    own_close(&o.peer);
    assert_true(finish(&o) < 5000);
    end(&o);
}

static void
a_close_waits_no_longer_than_it_is_told(void **state)
{
    struct owner o;

    (void)state;
    begin(&o);
    while (!net_conn_is_full(o.conn))
        send_zeros(&o, 65536);
    turns(&o, 1);
    net_conn_close(&o.conn, 50);
    assert_in_range(finish(&o), 40, 5000);
    end(&o);
}

/* The kernel answers octets that nobody read with a reset; it must not reach
 * the peer before our last words. */
static void
the_last_words_survive_input_that_nobody_read(void **state)
{
    char block[10000] = {0}, got[64] = {0};
    struct owner o;

    (void)state;
    begin(&o);
    o.refuses = true;
    say(&o, "DATA");
    turns(&o, 1);
    (void)send(o.peer, block, sizeof(block), 0);
    send_text(&o, "552 too much\r\n");
    net_conn_close(&o.conn, 5000);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(send(o.peer, block, sizeof(block), MSG_NOSIGNAL),
                         sizeof(block));
        turns(&o, 5);
    }
    assert_int_equal(recv(o.peer, got, sizeof(got), 0), 14);
    assert_string_equal(got, "552 too much\r\n");
    assert_int_equal(recv(o.peer, got, sizeof(got), 0), 0); /* and no reset */
    own_close(&o.peer);
    assert_true(finish(&o) < 1000);
    end(&o);
}

static void
a_peer_that_floods_a_closing_connection_is_cut_off(void **state)
{
    struct owner o;
    static char block[65536];
    size_t sent = 0;
    ssize_t n = 1;

    (void)state;
    begin(&o);
    net_conn_close(&o.conn, 60000);
    while (n > 0 && sent < 64 * 1024 * 1024) {
        n = send(o.peer, block, sizeof(block), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EAGAIN)
            n = 1;
        sent += (size_t)(n > 0 ? n : 0);
        turns(&o, 1);
    }
    assert_true(n < 0);
    assert_true(finish(&o) < 1000);
    end(&o);
}

static void
a_new_owner_gets_the_events(void **state)
{
    struct owner o, other = {0};

    (void)state;
    begin(&o);
    other.conn = o.conn;
    net_conn_own(o.conn, &events, &other);
    say(&o, "x");
    turns(&o, 1);
    assert_int_equal(o.inputs, 0);
    assert_int_equal(other.inputs, 1);
    buf_free(&other.got);
    end(&o);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_echoes_and_tells_the_end),
        cmocka_unit_test(nothing_is_read_before_open),
        cmocka_unit_test(no_callback_comes_from_inside_a_call),
        cmocka_unit_test(what_is_left_is_given_again_with_more_behind_it),
        cmocka_unit_test(kept_input_may_be_asked_for_behind_the_end),
        cmocka_unit_test(reading_pauses_while_64_kb_wait),
        cmocka_unit_test(a_full_output_pauses_reading_until_it_drains),
        cmocka_unit_test(a_big_transfer_arrives_whole_in_bounded_memory),
        cmocka_unit_test(a_limit_passes_once),
        cmocka_unit_test(each_limit_starts_anew),
        cmocka_unit_test(the_owner_may_close_in_every_callback),
        cmocka_unit_test(a_reset_is_an_end_with_a_reason_behind_the_last_input),
        cmocka_unit_test(a_peer_that_is_gone_already_is_no_local_peer),
        cmocka_unit_test(a_close_flushes_in_the_background),
        cmocka_unit_test(a_close_waits_no_longer_than_it_is_told),
        cmocka_unit_test(the_last_words_survive_input_that_nobody_read),
        cmocka_unit_test(a_peer_that_floods_a_closing_connection_is_cut_off),
        cmocka_unit_test(a_new_owner_gets_the_events),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
