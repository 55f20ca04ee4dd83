#include "relay/net/dns_host.h"

#include "relay/net/dns_server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

struct world {
    struct dns_server server;
    uv_loop_t loop;
    struct net_dns *dns;
    struct net_dns_host host;
    int calls;
};

static void
found(void *ctx)
{
    struct world *w = ctx;

    w->calls++;
}

static void
open_world(struct world *w)
{
    struct net_dns_config config = {.server_count = 1, .timeout_ms = 300};
    struct err err;

    dns_server_open(&w->server);
    config.servers = &w->server.addr;
    uv_loop_init(&w->loop);
    w->dns = net_dns_new(&w->loop, &config, &err);
    assert_non_null(w->dns);
}

static void
close_world(struct world *w)
{
    net_dns_host_cancel(&w->host);
    net_dns_free(&w->dns);
    uv_run(&w->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&w->loop), 0);
    dns_server_close(&w->server);
}

static void
look_up(struct world *w, const char *name, bool ipv6)
{
    w->calls = 0;
    net_dns_host_start(&w->host, w->dns, name, 443, ipv6, found, w);
    assert_int_equal(w->calls, 0);
    while (w->calls == 0)
        uv_run(&w->loop, UV_RUN_ONCE);
    assert_int_equal(w->calls, 1);
}

static void
check_address(const struct world *w, size_t i, const char *expected)
{
    char text[ADDR_TEXT_SIZE];

    assert_true(i < w->host.count);
    assert_string_equal(addr_text_port(&w->host.address[i], text), expected);
}

static void
both_families_are_asked_the_old_one_first(void **state)
{
    struct world w = {0};

    (void)state;
    open_world(&w);
    look_up(&w, "both.test", true);
    assert_int_equal(w.host.count, 2);
    check_address(&w, 0, "192.0.2.1:443");
    check_address(&w, 1, "[2001:db8::1]:443");
    close_world(&w);
}

static void
without_ipv6_it_is_not_asked_for(void **state)
{
    struct world w = {0};

    (void)state;
    open_world(&w);
    look_up(&w, "both.test", false);
    assert_int_equal(w.host.count, 1);
    check_address(&w, 0, "192.0.2.1:443");
    assert_int_equal(atomic_load(&w.server.udp_count), 1);
    close_world(&w);
}

static void
a_host_of_many_addresses_leaves_room_for_the_other_family(void **state)
{
    struct world w = {0};

    (void)state;
    open_world(&w);
    look_up(&w, "wide.test", true);
    assert_int_equal(w.host.count, NET_DNS_HOST_MAX / 2);
    close_world(&w);
}

/* What is said of a host without address is the graver of both answers. */
static void
what_is_wrong_is_said(void **state)
{
    static const struct {
        const char *name, *why;
    } rows[] = {
        {"nodata.test", "DNS: it has no address"},
        {"nxdomain.test", "DNS: it has no address"},
        {"servfail.test", "DNS: SERVFAIL"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct world w = {0};

        open_world(&w);
        look_up(&w, rows[i].name, true);
        assert_int_equal(w.host.count, 0);
        assert_string_equal(w.host.why, rows[i].why);
        close_world(&w);
    }
}

static void
one_that_is_cancelled_says_nothing_more(void **state)
{
    struct world w = {0};

    (void)state;
    open_world(&w);
    net_dns_host_start(&w.host, w.dns, "slow.test", 443, true, found, &w);
    net_dns_host_cancel(&w.host);
    close_world(&w);
    assert_int_equal(w.calls, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_families_are_asked_the_old_one_first),
        cmocka_unit_test(without_ipv6_it_is_not_asked_for),
        cmocka_unit_test(
            a_host_of_many_addresses_leaves_room_for_the_other_family),
        cmocka_unit_test(what_is_wrong_is_said),
        cmocka_unit_test(one_that_is_cancelled_says_nothing_more),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
