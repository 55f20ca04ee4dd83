#include "relay/net/proxy_read.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

struct house {
    uv_loop_t loop;
    struct net_proxy_read *read;
    int peer, calls, fd;
    struct net_proxy header;
    bool failed;
    struct err err;
};

static void
done(void *ctx, int fd, const struct net_proxy *header, const struct err *err)
{
    struct house *h = ctx;

    assert_null(h->read);
    h->calls++;
    h->fd = fd;
    h->failed = header == NULL;
    if (header)
        h->header = *header;
    else
        h->err = *err;
}

static void
begin(struct house *h, uint64_t limit_ms)
{
    int ends[2];

    *h = (struct house){.fd = -1};
    assert_int_equal(uv_loop_init(&h->loop), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends),
                     0);
    h->peer = ends[0];
    net_proxy_read_start(&h->read, &h->loop, ends[1], limit_ms, done, h);
    assert_int_equal(h->calls, 0);
}

static void
end(struct house *h)
{
    net_proxy_read_cancel(&h->read);
    net_proxy_read_cancel(&h->read);
    uv_run(&h->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&h->loop), 0);
    own_close(&h->peer);
    own_close(&h->fd);
}

static void
say(struct house *h, const char *text, size_t len)
{
    assert_int_equal(send(h->peer, text, len, 0), (ssize_t)len);
    uv_run(&h->loop, UV_RUN_NOWAIT);
}

static const char line[] = "PROXY TCP4 192.0.2.1 198.51.100.2 4711 25\r\n";

static void
nothing_behind_the_header_is_taken(void **state)
{
    static const char more[] = "\x16\x03\x01 and so on";
    char left[64];
    struct house h;

    (void)state;
    begin(&h, 10000);
    assert_int_equal(send(h.peer, line, sizeof(line) - 1, 0), sizeof(line) - 1);
    say(&h, more, sizeof(more));
    assert_int_equal(h.calls, 1);
    assert_false(h.failed);
    assert_int_equal(h.header.kind, NET_PROXY_CLIENT);
    assert_int_equal(recv(h.fd, left, sizeof(left), 0), sizeof(more));
    assert_memory_equal(left, more, sizeof(more));
    end(&h);
}

static void
octet_by_octet_it_comes_out_the_same(void **state)
{
    char left;
    struct house h;

    (void)state;
    begin(&h, 10000);
    for (size_t i = 0; i < sizeof(line) - 1; i++) {
        assert_int_equal(h.calls, 0);
        say(&h, line + i, 1);
    }
    assert_int_equal(h.calls, 1);
    assert_int_equal(h.header.len, sizeof(line) - 1);
    assert_int_equal(recv(h.fd, &left, 1, 0), -1);
    end(&h);
}

static void
half_a_header_keeps_no_loop_busy(void **state)
{
    struct house h;
    clock_t used;

    (void)state;
    begin(&h, 50);
    say(&h, line, 10);
    used = clock();
    uv_run(&h.loop, UV_RUN_DEFAULT);
    assert_true(clock() - used < CLOCKS_PER_SEC / 50);
    assert_int_equal(h.calls, 1);
    assert_true(h.failed);
    assert_string_equal(h.err.text, "no whole PROXY header came in time");
    end(&h);
}

static void
what_is_no_header_fails_at_once(void **state)
{
    struct house h;

    (void)state;
    begin(&h, 10000);
    say(&h, "EHLO x\r\n", 8);
    assert_int_equal(h.calls, 1);
    assert_true(h.failed);
    assert_string_equal(h.err.text, "no PROXY header");
    end(&h);
}

static void
a_peer_that_hangs_up_fails(void **state)
{
    struct house h;

    (void)state;
    begin(&h, 10000);
    say(&h, line, 10);
    own_close(&h.peer);
    uv_run(&h.loop, UV_RUN_NOWAIT);
    assert_int_equal(h.calls, 1);
    assert_true(h.failed);
    end(&h);
}

static void
behind_a_cancel_nothing_comes_and_the_socket_is_closed(void **state)
{
    char left;
    struct house h;

    (void)state;
    begin(&h, 10000);
    say(&h, line, 10);
    assert_int_equal(send(h.peer, line + 10, sizeof(line) - 11, 0),
                     sizeof(line) - 11);
    net_proxy_read_cancel(&h.read);
    uv_run(&h.loop, UV_RUN_DEFAULT);
    assert_int_equal(h.calls, 0);
    assert_true(recv(h.peer, &left, 1, 0) <= 0);
    end(&h);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_behind_the_header_is_taken),
        cmocka_unit_test(octet_by_octet_it_comes_out_the_same),
        cmocka_unit_test(half_a_header_keeps_no_loop_busy),
        cmocka_unit_test(what_is_no_header_fails_at_once),
        cmocka_unit_test(a_peer_that_hangs_up_fails),
        cmocka_unit_test(
            behind_a_cancel_nothing_comes_and_the_socket_is_closed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
