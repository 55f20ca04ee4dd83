#include "relay/net/dns.h"

#include "relay/net/dns_server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

struct heard {
    struct net_dns_query *query;
    int calls;
    enum dns_outcome outcome;
    bool authentic;
    size_t count;
    uint32_t ttl_s;
    char why[120], name[DNS_NAME_MAX + 1];
};

struct world {
    struct dns_server server, other;
    uv_loop_t loop;
    struct net_dns *dns;
};

static void
hear(void *ctx, const struct dns_answer *a)
{
    struct heard *h = ctx;

    assert_null(h->query);
    h->calls++;
    h->outcome = a->outcome;
    h->authentic = a->authentic;
    h->count = a->count;
    h->ttl_s = a->ttl_s;
    memcpy(h->why, a->why, sizeof(h->why));
    memcpy(h->name, a->name, sizeof(h->name));
}

static void
open_with(struct world *w, size_t servers, int64_t timeout_ms, bool trust_ad)
{
    struct addr all[2];
    struct err err;
    struct net_dns_config config = {.servers = all,
                                    .server_count = servers,
                                    .timeout_ms = timeout_ms,
                                    .trust_ad = trust_ad};

    dns_server_open(&w->server);
    dns_server_open(&w->other);
    all[0] = w->server.addr;
    all[1] = w->other.addr;
    uv_loop_init(&w->loop);
    w->dns = net_dns_new(&w->loop, &config, &err);
    assert_non_null(w->dns);
}

static void
close_world(struct world *w)
{
    net_dns_free(&w->dns);
    assert_null(w->dns);
    uv_run(&w->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&w->loop), 0);
    dns_server_close(&w->server);
    dns_server_close(&w->other);
}

static void
start(struct world *w, struct heard *h, const char *name)
{
    int before = h->calls;

    net_dns_start(&h->query, w->dns, name, DNS_A, hear, h);
    assert_int_equal(h->calls, before);
    assert_non_null(h->query);
}

static void
wait_for(struct world *w, struct heard *h, int calls)
{
    while (h->calls < calls)
        uv_run(&w->loop, UV_RUN_ONCE);
    assert_int_equal(h->calls, calls);
}

static struct heard
ask(struct world *w, const char *name)
{
    struct heard h = {0};

    start(w, &h, name);
    wait_for(w, &h, 1);
    return h;
}

static int
questions(struct world *w)
{
    return atomic_load(&w->server.udp_count) +
           atomic_load(&w->server.tcp_count);
}

static void
for_ms(struct world *w, uint64_t ms)
{
    uint64_t until;

    uv_update_time(&w->loop);
    until = uv_now(&w->loop) + ms;
    while (uv_now(&w->loop) < until) {
        uv_run(&w->loop, UV_RUN_NOWAIT);
        usleep(1000);
        uv_update_time(&w->loop);
    }
}

static void
tells_found_nodata_and_nxdomain_apart(void **state)
{
    struct world w;
    struct heard h;

    (void)state;
    open_with(&w, 1, 3000, false);
    h = ask(&w, "Found.TEST.");
    assert_int_equal(h.outcome, DNS_FOUND);
    assert_int_equal(h.count, 1);
    assert_int_equal(h.ttl_s, 300);
    assert_string_equal(h.name, "found.test");
    h = ask(&w, "nodata.test");
    assert_int_equal(h.outcome, DNS_NODATA);
    h = ask(&w, "nxdomain.test");
    assert_int_equal(h.outcome, DNS_NXDOMAIN);
    close_world(&w);
}

static void
a_server_that_fails_is_no_answer(void **state)
{
    struct world w;
    struct heard h;

    (void)state;
    open_with(&w, 1, 3000, false);
    h = ask(&w, "servfail.test");
    assert_int_equal(h.outcome, DNS_FAILED);
    assert_non_null(strstr(h.why, "SERVFAIL"));
    h = ask(&w, "refused.test");
    assert_int_equal(h.outcome, DNS_FAILED);
    assert_non_null(strstr(h.why, "REFUSED"));
    h = ask(&w, "always-notimp.test");
    assert_int_equal(h.outcome, DNS_FAILED);
    assert_true(h.why[0] != '\0');
    close_world(&w);
}

static void
silence_is_a_timeout_of_the_whole_question(void **state)
{
    struct world w;
    struct heard h;
    uint64_t began;

    (void)state;
    open_with(&w, 1, 300, false);
    began = uv_hrtime();
    h = ask(&w, "silent.test");
    assert_int_equal(h.outcome, DNS_FAILED);
    assert_string_equal(h.why, "timeout");
    assert_true(uv_hrtime() - began < 900u * 1000 * 1000);
    assert_int_equal(questions(&w), NET_DNS_TRIES);
    h = ask(&w, "truncated-stalled.test");
    assert_int_equal(h.outcome, DNS_FAILED);
    assert_true(uv_hrtime() - began < 1800u * 1000 * 1000);
    close_world(&w);
}

static void
a_lost_question_is_sent_again(void **state)
{
    struct world w;

    (void)state;
    open_with(&w, 1, 900, false);
    assert_int_equal(ask(&w, "second.test").outcome, DNS_FOUND);
    assert_int_equal(questions(&w), 2);
    close_world(&w);
}

static void
a_closed_port_is_a_failure(void **state)
{
    struct world w;
    struct heard h;
    struct err err;
    struct addr nobody =
        addr_from_v4((struct in_addr){htonl(INADDR_LOOPBACK)}, 9);
    struct net_dns_config config = {
        .servers = &nobody, .server_count = 1, .timeout_ms = 400};

    (void)state;
    open_with(&w, 1, 400, false);
    net_dns_free(&w.dns);
    w.dns = net_dns_new(&w.loop, &config, &err);
    assert_non_null(w.dns);
    h = ask(&w, "found.test");
    assert_int_equal(h.outcome, DNS_FAILED);
    assert_true(h.why[0] != '\0');
    close_world(&w);
}

static void
a_truncated_answer_is_fetched_by_tcp(void **state)
{
    struct world w;
    struct heard h;

    (void)state;
    open_with(&w, 1, 3000, false);
    h = ask(&w, "wide.test");
    assert_int_equal(h.count, 60);
    assert_int_equal(atomic_load(&w.server.tcp_count), 0);
    h = ask(&w, "truncated.test");
    assert_int_equal(h.outcome, DNS_FOUND);
    assert_int_equal(h.count, 90);
    assert_int_equal(atomic_load(&w.server.tcp_count), 1);
    h = ask(&w, "truncated-closed.test");
    assert_int_equal(h.outcome, DNS_FAILED);
    assert_int_equal(h.count, 0);
    close_world(&w);
}

static void
forged_answers_are_ignored(void **state)
{
    struct world w;
    struct heard h;

    (void)state;
    open_with(&w, 1, 3000, false);
    h = ask(&w, "forged.test");
    assert_int_equal(h.outcome, DNS_FOUND);
    assert_int_equal(h.count, 1);
    close_world(&w);
}

static void
a_server_without_edns_is_asked_without_it(void **state)
{
    struct world w;

    (void)state;
    open_with(&w, 1, 3000, false);
    assert_int_equal(ask(&w, "formerr.test").outcome, DNS_FOUND);
    assert_int_equal(ask(&w, "formerr.test2").outcome, DNS_FOUND);
    assert_int_equal(ask(&w, "notimp.test").outcome, DNS_FOUND);
    close_world(&w);
}

static void
the_next_server_is_asked_when_one_fails(void **state)
{
    struct world w;
    struct heard h;

    (void)state;
    open_with(&w, 2, 3000, false);
    assert_int_equal(ask(&w, "found.test").outcome, DNS_FOUND);
    h = ask(&w, "servfail.test");
    assert_int_equal(h.outcome, DNS_FAILED);
    assert_true(h.why[0] != '\0');
    assert_int_equal(atomic_load(&w.other.udp_count), 1);
    close_world(&w);
}

static void
the_ad_bit_is_believed_only_when_told_so(void **state)
{
    struct world w;

    (void)state;
    open_with(&w, 1, 3000, false);
    assert_false(ask(&w, "authentic.test").authentic);
    close_world(&w);
    open_with(&w, 1, 3000, true);
    assert_true(ask(&w, "authentic.test").authentic);
    assert_true(ask(&w, "authentic.test").authentic);
    assert_false(ask(&w, "found.test").authentic);
    close_world(&w);
}

static void
an_answer_is_kept_for_its_ttl(void **state)
{
    struct world w;
    struct heard h;

    (void)state;
    open_with(&w, 1, 3000, false);
    (void)ask(&w, "found.test");
    h = ask(&w, "FOUND.test");
    assert_int_equal(h.outcome, DNS_FOUND);
    assert_int_equal(questions(&w), 1);
    (void)ask(&w, "nxdomain.test");
    (void)ask(&w, "nxdomain.test");
    assert_int_equal(questions(&w), 2);
    (void)ask(&w, "zero.test");
    (void)ask(&w, "zero.test");
    assert_int_equal(questions(&w), 4);
    (void)ask(&w, "short.test");
    (void)ask(&w, "short.test");
    assert_int_equal(questions(&w), 5);
    for_ms(&w, 1100);
    (void)ask(&w, "short.test");
    assert_int_equal(questions(&w), 6);
    (void)ask(&w, "servfail.test");
    (void)ask(&w, "servfail.test");
    assert_int_equal(questions(&w), 8);
    net_dns_forget(w.dns, "Found.test.");
    (void)ask(&w, "found.test");
    (void)ask(&w, "nxdomain.test");
    assert_int_equal(questions(&w), 9);
    net_dns_forget(w.dns, NULL);
    (void)ask(&w, "nxdomain.test");
    assert_int_equal(questions(&w), 10);
    close_world(&w);
}

static void
equal_questions_are_asked_once(void **state)
{
    struct world w;
    struct heard h[5] = {0};

    (void)state;
    open_with(&w, 1, 3000, false);
    for (int i = 0; i < 5; i++)
        start(&w, &h[i], i % 2 ? "slow.test" : "SLOW.test.");
    net_dns_cancel(&h[2].query);
    net_dns_cancel(&h[0].query);
    wait_for(&w, &h[4], 1);
    assert_int_equal(h[1].calls, 1);
    assert_int_equal(h[3].calls, 1);
    assert_int_equal(h[0].calls + h[2].calls, 0);
    assert_int_equal(questions(&w), 1);
    close_world(&w);
}

static void
nothing_is_heard_behind_a_cancel(void **state)
{
    struct world w;
    struct heard h = {0};

    (void)state;
    open_with(&w, 1, 500, false);
    start(&w, &h, "slow.test"); /* at once */
    net_dns_cancel(&h.query);
    assert_null(h.query);
    net_dns_cancel(&h.query);
    for_ms(&w, 20);
    start(&w, &h, "silent.test"); /* under way */
    for_ms(&w, 20);
    net_dns_cancel(&h.query);
    start(&w, &h, "not..a.name"); /* settled, not yet delivered */
    net_dns_cancel(&h.query);
    for_ms(&w, 200);
    start(&w, &h, "slow.test"); /* its answer was kept all the same */
    net_dns_cancel(&h.query);
    for_ms(&w, 50);
    assert_int_equal(h.calls, 0);
    assert_int_equal(ask(&w, "slow.test").outcome, DNS_FOUND);
    close_world(&w);
}

static void
what_is_forgotten_meanwhile_is_not_kept(void **state)
{
    struct world w;
    struct heard h = {0};

    (void)state;
    open_with(&w, 1, 3000, false);
    start(&w, &h, "slow.test");
    net_dns_forget(w.dns, "slow.test");
    wait_for(&w, &h, 1);
    (void)ask(&w, "slow.test");
    assert_int_equal(questions(&w), 2);
    close_world(&w);
}

static void
a_bad_name_fails_later_too(void **state)
{
    static const char *const names[] = {"", "a..b", ".a", "a b\x01.test"};
    char label[65], name[400] = "";
    struct world w;
    struct heard h;

    (void)state;
    open_with(&w, 1, 300, false);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        h = ask(&w, names[i]);
        assert_int_equal(h.calls, 1);
    }
    memset(label, 'a', 64);
    label[64] = '\0';
    h = ask(&w, label);
    assert_int_equal(h.outcome, DNS_FAILED);
    for (int i = 0; i < 5; i++)
        memcpy(name + i * 60,
               &"aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeee"
                "eefffffffff."[0],
               61);
    h = ask(&w, name);
    assert_int_equal(h.outcome, DNS_FAILED);
    close_world(&w);
}

/* --- what owners do from inside `done` --- */

struct chain {
    struct world *w;
    struct heard heard;
    struct net_dns_query *queries[3];
    int calls;
};

static void
ask_again(void *ctx, const struct dns_answer *a)
{
    struct chain *c = ctx;

    assert_int_equal(a->outcome, DNS_FOUND);
    if (++c->calls < 100)
        net_dns_start(&c->queries[0], c->w->dns, "found.test", DNS_A, ask_again,
                      c);
}

static void
cancel_the_others(void *ctx, const struct dns_answer *a)
{
    struct chain *c = ctx;

    (void)a;
    c->calls++;
    for (int i = 0; i < 3; i++)
        net_dns_cancel(&c->queries[i]);
}

static void
free_all(void *ctx, const struct dns_answer *a)
{
    struct chain *c = ctx;

    c->calls++;
    net_dns_free(&c->w->dns);
    assert_true(a->name[0] != '\0');
}

static void
owners_may_ask_cancel_and_free_when_they_hear(void **state)
{
    struct world w;
    struct chain c = {.w = &w};

    (void)state;
    open_with(&w, 1, 3000, false);
    net_dns_start(&c.queries[0], w.dns, "found.test", DNS_A, ask_again, &c);
    while (c.calls < 100)
        uv_run(&w.loop, UV_RUN_ONCE);
    assert_int_equal(questions(&w), 1);

    c.calls = 0;
    for (int i = 0; i < 3; i++)
        net_dns_start(&c.queries[i], w.dns, i ? "found.test" : "slow.test",
                      DNS_A, cancel_the_others, &c);
    for_ms(&w, 150);
    assert_int_equal(c.calls, 1);

    c.calls = 0;
    net_dns_start(&c.queries[0], w.dns, "nodata.test", DNS_A, free_all, &c);
    while (c.calls < 1)
        uv_run(&w.loop, UV_RUN_ONCE);
    assert_null(w.dns);
    close_world(&w);
}

static void
may_be_freed_while_answers_are_still_owed(void **state)
{
    struct world w;
    struct heard h = {0};

    (void)state;
    open_with(&w, 1, 3000, false);
    start(&w, &h, "silent.test");
    for_ms(&w, 20);
    net_dns_cancel(&h.query);
    start(&w, &h, "truncated-stalled.test");
    for_ms(&w, 20);
    net_dns_cancel(&h.query);
    start(&w, &h, "found.test");
    net_dns_cancel(&h.query);
    close_world(&w);
    assert_int_equal(h.calls, 0);
}

static void
many_questions_at_once(void **state)
{
    enum { MANY = 300 };
    struct world w;
    struct heard *h = calloc(MANY, sizeof(*h));
    char name[64];

    (void)state;
    open_with(&w, 1, 5000, false);
    for (int i = 0; i < MANY; i++) {
        snprintf(name, sizeof(name), "%s.n%d.test",
                 i % 3 ? "found" : "nxdomain", i);
        start(&w, &h[i], name);
    }
    for (int i = 0; i < MANY; i++) {
        wait_for(&w, &h[i], 1);
        assert_int_equal(h[i].outcome, i % 3 ? DNS_FOUND : DNS_NXDOMAIN);
    }
    close_world(&w);
    free(h);
}

static void
takes_the_systems_servers(void **state)
{
    struct net_dns_config config = {.timeout_ms = 1000};
    uv_loop_t loop;
    struct err err;
    struct net_dns *dns;

    (void)state;
    uv_loop_init(&loop);
    dns = net_dns_new(&loop, &config, &err);
    assert_non_null(dns);
    net_dns_free(&dns);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells_found_nodata_and_nxdomain_apart),
        cmocka_unit_test(a_server_that_fails_is_no_answer),
        cmocka_unit_test(silence_is_a_timeout_of_the_whole_question),
        cmocka_unit_test(a_lost_question_is_sent_again),
        cmocka_unit_test(a_closed_port_is_a_failure),
        cmocka_unit_test(a_truncated_answer_is_fetched_by_tcp),
        cmocka_unit_test(forged_answers_are_ignored),
        cmocka_unit_test(a_server_without_edns_is_asked_without_it),
        cmocka_unit_test(the_next_server_is_asked_when_one_fails),
        cmocka_unit_test(the_ad_bit_is_believed_only_when_told_so),
        cmocka_unit_test(an_answer_is_kept_for_its_ttl),
        cmocka_unit_test(equal_questions_are_asked_once),
        cmocka_unit_test(nothing_is_heard_behind_a_cancel),
        cmocka_unit_test(what_is_forgotten_meanwhile_is_not_kept),
        cmocka_unit_test(a_bad_name_fails_later_too),
        cmocka_unit_test(owners_may_ask_cancel_and_free_when_they_hear),
        cmocka_unit_test(may_be_freed_while_answers_are_still_owed),
        cmocka_unit_test(many_questions_at_once),
        cmocka_unit_test(takes_the_systems_servers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
