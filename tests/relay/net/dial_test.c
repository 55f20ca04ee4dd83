#include "relay/net/dial.h"

#include "relay/base/own.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

struct outcome {
    struct net_dial *dial;
    uv_loop_t loop;
    int calls, fd;
    bool redials;
    struct addr to;
    struct addr local; /* of the connected socket */
    struct err err;
};

static void
record(void *ctx, int fd, const struct err *err)
{
    struct outcome *o = ctx;
    socklen_t len = sizeof(o->local);

    assert_null(o->dial);
    assert_true((fd >= 0) == (err == NULL));
    o->calls++;
    o->err = err ? *err : (struct err){0};
    o->fd = fd;
    if (fd >= 0)
        assert_int_equal(getsockname(fd, &o->local.any, &len), 0);
    own_close(&fd);
    if (o->redials && o->calls == 1)
        net_dial_start(&o->dial, &o->loop, &o->to, NULL, 2000, record, o);
}

/* A port of 127.0.0.1 that is taken: nobody else gets it meanwhile. */
static struct addr
bound(int *fd, int backlog)
{
    struct addr a = addr_from_v4((struct in_addr){htonl(INADDR_LOOPBACK)}, 0);
    socklen_t len = sizeof(a.v4);

    *fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(*fd, &a.any, len), 0);
    if (backlog >= 0)
        assert_int_equal(listen(*fd, backlog), 0);
    assert_int_equal(getsockname(*fd, &a.any, &len), 0);
    return a;
}

static void
begin(struct outcome *o)
{
    *o = (struct outcome){.fd = -2};
    assert_int_equal(uv_loop_init(&o->loop), 0);
}

static void
run(struct outcome *o)
{
    uv_run(&o->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&o->loop), 0);
    assert_null(o->dial);
}

static void
it_connects(void **state)
{
    scoped(own_close) int fd = -1;
    struct addr to = bound(&fd, 5);
    struct outcome o;

    (void)state;
    begin(&o);
    net_dial_start(&o.dial, &o.loop, &to, NULL, 2000, record, &o);
    assert_int_equal(o.calls, 0);
    assert_non_null(o.dial);
    run(&o);
    assert_int_equal(o.calls, 1);
    assert_true(o.fd >= 0);
}

static void
it_connects_from_the_address_it_is_told(void **state)
{
    scoped(own_close) int fd = -1;
    struct addr to = bound(&fd, 5);
    struct addr from =
        addr_from_v4((struct in_addr){htonl(INADDR_LOOPBACK + 7)}, 0);
    struct outcome o;

    (void)state;
    begin(&o);
    net_dial_start(&o.dial, &o.loop, &to, &from, 2000, record, &o);
    run(&o);
    assert_true(o.fd >= 0);
    assert_true(addr_is_same_host(&o.local, &from));
}

static void
a_refusal_is_reported_once(void **state)
{
    scoped(own_close) int fd = -1;
    struct addr to = bound(&fd, -1);
    struct outcome o;

    (void)state;
    begin(&o);
    net_dial_start(&o.dial, &o.loop, &to, NULL, 2000, record, &o);
    assert_int_equal(o.calls, 0);
    run(&o);
    assert_int_equal(o.calls, 1);
    assert_int_equal(o.fd, -1);
    assert_int_equal(o.err.kind, ERR_SYSTEM);
    assert_string_equal(o.err.text, "connect: Connection refused");
}

static void
what_fails_at_once_is_reported_later(void **state)
{
    struct addr unknown = {.any = {.sa_family = AF_UNSPEC}};
    struct in_addr any = {htonl(INADDR_LOOPBACK)};
    struct addr to = addr_from_v4(any, 9);
    struct addr from = addr_from_v6((struct in6_addr)IN6ADDR_LOOPBACK_INIT, 0);
    struct outcome o;

    (void)state;
    begin(&o);
    net_dial_start(&o.dial, &o.loop, &unknown, NULL, 2000, record, &o);
    assert_int_equal(o.calls, 0);
    run(&o);
    assert_int_equal(o.calls, 1);
    assert_int_equal(o.err.kind, ERR_SYSTEM);

    /* A source address of the other family. */
    begin(&o);
    net_dial_start(&o.dial, &o.loop, &to, &from, 2000, record, &o);
    assert_int_equal(o.calls, 0);
    run(&o);
    assert_int_equal(o.calls, 1);
    assert_int_equal(o.fd, -1);
}

static void
a_peer_that_does_not_answer_is_given_up(void **state)
{
    scoped(own_close) int fd = -1;
    struct addr to = bound(&fd, 0);
    struct outcome o;
    int fill[8];
    uint64_t before = uv_hrtime();

    (void)state;
    /* A full backlog makes further connects hang. */
    for (int i = 0; i < 8; i++) {
        fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)connect(fill[i], &to.any, addr_len(&to));
    }
    begin(&o);
    net_dial_start(&o.dial, &o.loop, &to, NULL, 60, record, &o);
    run(&o);
    assert_int_equal(o.calls, 1);
    assert_int_equal(o.err.kind, ERR_TIMEOUT);
    assert_true(uv_hrtime() - before >= 59 * 1000000);
    for (int i = 0; i < 8; i++)
        own_close(&fill[i]);
}

static void
nothing_is_said_behind_a_cancel(void **state)
{
    scoped(own_close) int open = -1;
    scoped(own_close) int shut = -1;
    struct addr unknown = {.any = {.sa_family = AF_UNSPEC}};
    struct addr to[] = {bound(&open, 5), bound(&shut, -1), unknown};

    (void)state;
    for (size_t i = 0; i < sizeof(to) / sizeof(to[0]); i++) {
        struct outcome o;

        begin(&o);
        net_dial_start(&o.dial, &o.loop, &to[i], NULL, 1, record, &o);
        net_dial_cancel(&o.dial);
        assert_null(o.dial);
        net_dial_cancel(&o.dial);
        run(&o);
        assert_int_equal(o.calls, 0);
    }
}

static void
the_callee_may_dial_again_with_the_same_slot(void **state)
{
    scoped(own_close) int fd = -1;
    struct outcome o;

    (void)state;
    begin(&o);
    o.to = bound(&fd, 5);
    o.redials = true;
    net_dial_start(&o.dial, &o.loop, &o.to, NULL, 2000, record, &o);
    run(&o);
    assert_int_equal(o.calls, 2);
    assert_true(o.fd >= 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_connects),
        cmocka_unit_test(it_connects_from_the_address_it_is_told),
        cmocka_unit_test(a_refusal_is_reported_once),
        cmocka_unit_test(what_fails_at_once_is_reported_later),
        cmocka_unit_test(a_peer_that_does_not_answer_is_given_up),
        cmocka_unit_test(nothing_is_said_behind_a_cancel),
        cmocka_unit_test(the_callee_may_dial_again_with_the_same_slot),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
