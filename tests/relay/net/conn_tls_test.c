#include "relay/net/conn.h"

#include "relay/base/mem.h"
#include "relay/base/own.h"
#include "relay/net/tls_stream.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "relay/net/certificates.h"

static struct authority ca;
static struct net_tls *server_tls, *client_tls;

static int
make(void **state)
{
    struct err err;

    (void)state;
    authority_open(&ca);
    authority_issue(
        &ca, "good",
        &(struct wish){.common_name = "x", .names = "DNS:mx.example.com"});
    server_tls = make_server(authority_path(&ca, "good.pem"),
                             authority_path(&ca, "good.key"),
                             (struct net_tls_server_setup){0}, &err);
    client_tls = net_tls_client(authority_path(&ca, "ca.pem"), &err);
    assert_non_null(server_tls);
    assert_non_null(client_tls);
    return 0;
}

static int
clear(void **state)
{
    (void)state;
    net_tls_free(&server_tls);
    net_tls_free(&client_tls);
    authority_close(&ca);
    return 0;
}

/* ---- two owners on one loop ---- */

enum call { NO_CALL, INPUT, SECURED, DRAINED, LATE, ENDED };

struct owner {
    struct net_conn *conn;
    int inputs, secures, drains, lates, ends;
    struct err err; /* of `secured` or `ended` */
    struct buf got;
    size_t total; /* octets used */
    bool counts;  /* instead of keeping what it got */
    bool refuses;
    bool starts_tls; /* at the first input, as a server that got STARTTLS */
    size_t uses;     /* then, octets of it */
    enum call closes_in;
};

static const struct net_tls_setup *server_setup(void);

static void
at(struct owner *o, enum call call)
{
    assert_non_null(o->conn);
    if (o->closes_in == call)
        net_conn_close(&o->conn, 0);
}

static size_t
input(void *ctx, struct slice in)
{
    struct owner *o = ctx;
    size_t used = o->refuses ? 0 : in.len;

    o->inputs++;
    if (o->starts_tls) {
        o->starts_tls = false;
        net_conn_start_tls(o->conn, server_setup());
        return o->uses;
    }
    if (!o->counts)
        buf_add(&o->got, slice_first(in, used));
    o->total += used;
    at(o, INPUT);
    return used;
}

static void
secured(void *ctx, const struct err *err)
{
    struct owner *o = ctx;

    o->secures++;
    if (err)
        o->err = *err;
    assert_non_null(net_conn_tls(o->conn));
    at(o, SECURED);
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

static const struct net_tls_setup *
server_setup(void)
{
    static struct net_tls_setup setup;

    setup = (struct net_tls_setup){.tls = server_tls, .is_server = true};
    return &setup;
}

static struct net_tls_setup
client_setup(const char *name)
{
    return (struct net_tls_setup){.tls = client_tls,
                                  .sni = name,
                                  .check = NET_TLS_CHECK_PKIX,
                                  .names = {name}};
}

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

struct both {
    uv_loop_t loop;
    struct owner server, client;
};

static void
begin(struct both *b)
{
    int fds[2];

    *b = (struct both){0};
    tcp_pair(fds);
    assert_int_equal(uv_loop_init(&b->loop), 0);
    b->server.conn = net_conn_new(&b->loop, fds[0], &events, &b->server);
    b->client.conn = net_conn_new(&b->loop, fds[1], &events, &b->client);
    net_conn_open(b->server.conn);
    net_conn_open(b->client.conn);
}

static void
end(struct both *b)
{
    net_conn_close(&b->server.conn, 0);
    net_conn_close(&b->client.conn, 0);
    uv_run(&b->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&b->loop), 0);
    buf_free(&b->server.got);
    buf_free(&b->client.got);
}

static void
start(struct both *b, const char *name)
{
    struct net_tls_setup setup = client_setup(name);

    net_conn_start_tls(b->server.conn, server_setup());
    net_conn_start_tls(b->client.conn, &setup);
    assert_null(net_conn_tls(b->client.conn));
}

static void
turns(struct both *b, int n)
{
    while (n-- > 0)
        uv_run(&b->loop, UV_RUN_NOWAIT);
}

static void
secure(struct both *b)
{
    begin(b);
    start(b, "mx.example.com");
    for (int i = 0; i < 1000 && !(b->server.secures && b->client.secures); i++)
        turns(b, 1);
    assert_int_equal(b->server.secures, 1);
    assert_int_equal(b->client.secures, 1);
    assert_int_equal(b->client.err.kind, ERR_NONE);
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
it_speaks_tls_and_says_what_was_proven(void **state)
{
    struct both b;

    (void)state;
    secure(&b);
    assert_int_equal(net_conn_tls(b.client.conn)->verdict, NET_TLS_VERIFIED);
    assert_string_equal(net_conn_tls(b.client.conn)->matched, "mx.example.com");
    assert_string_equal(net_conn_tls(b.server.conn)->version, "TLSv1.3");
    send_text(&b.client, "EHLO x\r\n");
    turns(&b, 3);
    assert_true(slice_is(buf_slice(&b.server.got), "EHLO x\r\n"));
    send_text(&b.server, "250 y\r\n");
    turns(&b, 3);
    assert_true(slice_is(buf_slice(&b.client.got), "250 y\r\n"));
    net_conn_close(&b.client.conn, 1000);
    turns(&b, 5);
    assert_int_equal(b.server.ends, 1);
    assert_int_equal(b.server.err.kind, ERR_NONE);
    assert_false(net_conn_is_truncated(b.server.conn));
    end(&b);
}

static void
what_was_sent_before_goes_out_in_clear_first(void **state)
{
    struct both b;
    struct net_tls_setup setup = client_setup("mx.example.com");

    (void)state;
    begin(&b);
    b.server.starts_tls = true;
    b.server.uses = 10;
    send_text(&b.client, "STARTTLS\r\n");
    turns(&b, 2);
    send_text(&b.server, "never in clear"); /* waits for the handshake */
    turns(&b, 2);
    assert_int_equal(b.client.inputs, 0);
    net_conn_start_tls(b.client.conn, &setup);
    send_text(&b.client, "EHLO x\r\n");
    turns(&b, 20);
    assert_int_equal(b.client.secures, 1);
    assert_true(slice_is(buf_slice(&b.server.got), "EHLO x\r\n"));
    assert_true(slice_is(buf_slice(&b.client.got), "never in clear"));
    end(&b);
}

static void
octets_in_clear_behind_starttls_fail_the_handshake(void **state)
{
    struct both b;

    (void)state;
    begin(&b);
    b.server.starts_tls = true;
    b.server.uses = 10;
    send_text(&b.client, "STARTTLS\r\nMAIL FROM:<evil@example.com>\r\n");
    turns(&b, 5);
    assert_int_equal(b.server.inputs, 1);
    assert_int_equal(b.server.secures, 1);
    assert_int_equal(b.server.err.kind, ERR_TLS);
    assert_false(net_conn_has_kept(b.server.conn));
    assert_int_equal(net_conn_tls(b.server.conn)->verdict, NET_TLS_BROKEN);
    send_text(&b.server, "250 ok\r\n");
    turns(&b, 5);
    assert_int_equal(b.client.total, 0);
    assert_int_equal(b.server.inputs, 1);
    end(&b);

    /* Kept from before: the call itself must not call back. */
    begin(&b);
    b.server.refuses = true;
    send_text(&b.client, "STARTTLS\r\n");
    turns(&b, 3);
    net_conn_start_tls(b.server.conn, server_setup());
    assert_int_equal(b.server.secures, 0);
    turns(&b, 2);
    assert_int_equal(b.server.secures, 1);
    assert_int_equal(b.server.err.kind, ERR_TLS);
    end(&b);
}

static void
a_wrong_name_fails_and_the_facts_say_so(void **state)
{
    struct both b;

    (void)state;
    begin(&b);
    start(&b, "other.example.com");
    send_text(&b.client, "AUTH PLAIN secret"); /* must never leave */
    turns(&b, 20);
    assert_int_equal(b.client.secures, 1);
    assert_int_equal(b.client.err.kind, ERR_TLS);
    assert_int_equal(net_conn_tls(b.client.conn)->verdict, NET_TLS_WRONG_NAME);
    assert_string_equal(net_conn_tls(b.client.conn)->subject, "mx.example.com");
    send_text(&b.client, "nor may this");
    turns(&b, 20);
    assert_int_equal(b.server.total, 0);
    assert_int_equal(b.client.ends, 0);
    end(&b);
}

static void
the_owner_may_close_in_every_callback(void **state)
{
    (void)state;
    for (int who = 0; who < 2; who++)
        for (enum call call = INPUT; call <= ENDED; call++) {
            struct both b;
            struct owner *closes, *other;

            begin(&b);
            closes = who ? &b.server : &b.client;
            other = who ? &b.client : &b.server;
            closes->closes_in = call;
            start(&b, "mx.example.com");
            if (call != SECURED)
                turns(&b, 20);
            if (call == INPUT)
                send_text(other, "x");
            if (call == LATE)
                net_conn_limit(closes->conn, 1);
            if (call == ENDED)
                net_conn_close(&other->conn, 1000);
            if (call == DRAINED) {
                struct buf out = {0};

                other->counts = true;
                memset(buf_room(&out, 20000000), 'x', 20000000);
                out.len = 20000000;
                net_conn_send(closes->conn, &out);
                assert_true(net_conn_is_full(closes->conn));
                buf_free(&out);
            }
            for (int i = 0; closes->conn && i < 5000; i++) {
                turns(&b, 1);
                usleep(100);
            }
            assert_null(closes->conn);
            for (int i = 0; i < 5000 && !other->ends && !other->err.kind; i++)
                turns(&b, 1);
            assert_true(!other->conn || other->ends == 1 || other->err.kind);
            end(&b);
        }
}

/* The reader takes nothing for a while, again and again. */
static void
a_big_transfer_arrives_whole_in_bounded_memory(void **state)
{
    enum { TOTAL = 50 * 1024 * 1024, BLOCK = 30011 };
    struct both b;
    size_t sent = 0;
    int rounds = 0;

    (void)state;
    secure(&b);
    b.server.counts = true;
    while (b.server.total < TOTAL) {
        while (sent < TOTAL && !net_conn_is_full(b.client.conn)) {
            size_t n = TOTAL - sent < BLOCK ? TOTAL - sent : BLOCK;
            struct buf out = {0};

            memset(buf_room(&out, n), 'x', n);
            out.len = n;
            sent += n;
            net_conn_send(b.client.conn, &out);
            buf_free(&out);
        }
        b.server.refuses = rounds++ % 3 == 0;
        if (!b.server.refuses)
            net_conn_more(b.server.conn);
        turns(&b, 1);
        assert_true(b.server.total <= sent);
        assert_int_equal(b.server.ends + b.client.ends, 0);
    }
    assert_int_equal(b.server.total, TOTAL);
    end(&b);
}

/* ---- a peer that stops in the middle ---- */

/* Does a handshake with the connection of `o`, but passes on only the first
 * `limit` octets of what it should say; returns how many it wanted to say. */
static size_t
half_shake(struct owner *o, uv_loop_t *loop, int fd, size_t limit,
           bool is_server)
{
    struct net_tls_setup setup =
        is_server ? *server_setup() : client_setup("mx.example.com");
    struct buf out = {0};
    struct net_tls_stream *peer = net_tls_stream_new(&setup, &out);
    size_t said = 0;
    char block[65536];

    for (int i = 0; i < 12 && !o->secures; i++) {
        ssize_t n = recv(fd, block, sizeof(block), MSG_DONTWAIT);
        struct slice in = {block, n > 0 ? (size_t)n : 0};
        struct slice part;
        struct err err;

        (void)net_tls_stream_shake(peer, &in, &err);
        part = slice_first(buf_slice(&out), said < limit ? limit - said : 0);
        if (part.len)
            (void)send(fd, part.p, part.len, MSG_NOSIGNAL);
        said += out.len;
        buf_clear(&out);
        uv_run(loop, UV_RUN_NOWAIT);
    }
    net_tls_stream_free(&peer);
    buf_free(&out);
    return said;
}

enum leaving { STALLS, CLOSES, RESETS };

static size_t
leave_after(size_t limit, enum leaving how, bool we_serve)
{
    struct linger hard = {1, 0};
    struct net_tls_setup setup =
        we_serve ? *server_setup() : client_setup("mx.example.com");
    struct owner o = {0};
    uv_loop_t loop;
    int fds[2];
    size_t wanted;

    tcp_pair(fds);
    uv_loop_init(&loop);
    o.conn = net_conn_new(&loop, fds[0], &events, &o);
    net_conn_open(o.conn);
    net_conn_start_tls(o.conn, &setup);
    net_conn_limit(o.conn, 1000);
    wanted = half_shake(&o, &loop, fds[1], limit, !we_serve);
    if (!o.secures) {
        if (how == RESETS)
            setsockopt(fds[1], SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
        if (how == STALLS)
            net_conn_limit(o.conn, 1);
        else
            own_close(&fds[1]);
        for (int i = 0; i < 200 && !o.secures && !o.lates; i++) {
            usleep(200);
            uv_run(&loop, UV_RUN_NOWAIT);
        }
        assert_int_equal(o.lates, how == STALLS);
        assert_int_equal(o.secures, how != STALLS);
        assert_int_equal(o.ends, 0);
        if (how != STALLS) {
            assert_int_equal(o.err.kind, ERR_SYSTEM);
            assert_int_equal(net_conn_tls(o.conn)->verdict, NET_TLS_BROKEN);
        }
    }
    net_conn_close(&o.conn, 0);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
    own_close(&fds[1]);
    buf_free(&o.got);
    return wanted;
}

static void
a_peer_may_leave_anywhere_in_the_handshake(void **state)
{
    (void)state;
    for (int we_serve = 0; we_serve < 2; we_serve++)
        for (enum leaving how = STALLS; how <= RESETS; how++) {
            size_t wanted = 1;

            for (size_t limit = 0; limit < wanted; limit += 61)
                wanted = leave_after(limit, how, we_serve);
            assert_true(wanted > 300);
        }
}

static void
an_end_without_close_notify_is_an_end_and_can_be_told(void **state)
{
    struct owner o = {0};
    struct net_tls_setup setup = client_setup("mx.example.com");
    uv_loop_t loop;
    int fds[2];

    (void)state;
    tcp_pair(fds);
    uv_loop_init(&loop);
    o.conn = net_conn_new(&loop, fds[0], &events, &o);
    net_conn_open(o.conn);
    net_conn_start_tls(o.conn, &setup);
    (void)half_shake(&o, &loop, fds[1], SIZE_MAX, true);
    assert_int_equal(o.secures, 1);
    shutdown(fds[1], SHUT_WR);
    for (int i = 0; i < 10; i++)
        uv_run(&loop, UV_RUN_NOWAIT);
    assert_int_equal(o.ends, 1);
    assert_int_equal(o.err.kind, ERR_NONE);
    assert_true(net_conn_is_truncated(o.conn));
    net_conn_close(&o.conn, 0);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
    own_close(&fds[1]);
}

static void
a_forged_record_breaks_the_connection(void **state)
{
    static const char forged[] = {
        23,  3,   3,   0,   32,  'f', 'o', 'r', 'g', 'e', 'd', 'x', 'x',
        'x', 'x', 'x', 'x', 'x', 'x', 'x', 'x', 'x', 'x', 'x', 'x', 'x',
        'x', 'x', 'x', 'x', 'x', 'x', 'x', 'x', 'x', 'x', 'x'};
    struct owner o = {0};
    struct net_tls_setup setup = client_setup("mx.example.com");
    uv_loop_t loop;
    int fds[2];

    (void)state;
    tcp_pair(fds);
    uv_loop_init(&loop);
    o.conn = net_conn_new(&loop, fds[0], &events, &o);
    net_conn_open(o.conn);
    net_conn_start_tls(o.conn, &setup);
    (void)half_shake(&o, &loop, fds[1], SIZE_MAX, true);
    (void)send(fds[1], forged, sizeof(forged), MSG_NOSIGNAL);
    for (int i = 0; i < 10; i++)
        uv_run(&loop, UV_RUN_NOWAIT);
    assert_int_equal(o.inputs, 0);
    assert_int_equal(o.ends, 1);
    assert_int_equal(o.err.kind, ERR_TLS);
    net_conn_close(&o.conn, 0);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
    own_close(&fds[1]);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_speaks_tls_and_says_what_was_proven),
        cmocka_unit_test(what_was_sent_before_goes_out_in_clear_first),
        cmocka_unit_test(octets_in_clear_behind_starttls_fail_the_handshake),
        cmocka_unit_test(a_wrong_name_fails_and_the_facts_say_so),
        cmocka_unit_test(the_owner_may_close_in_every_callback),
        cmocka_unit_test(a_big_transfer_arrives_whole_in_bounded_memory),
        cmocka_unit_test(a_peer_may_leave_anywhere_in_the_handshake),
        cmocka_unit_test(an_end_without_close_notify_is_an_end_and_can_be_told),
        cmocka_unit_test(a_forged_record_breaks_the_connection),
    };

    return cmocka_run_group_tests(tests, make, clear);
}
