#include "relay/net/dns_cache.h"

#include "relay/base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct dns_answer
found(const char *name, uint32_t ttl_s, size_t text_len)
{
    struct dns_answer a = {.type = DNS_TXT,
                           .outcome = DNS_FOUND,
                           .ttl_s = ttl_s,
                           .records = mem_new(struct dns_record),
                           .count = 1};

    snprintf(a.name, sizeof(a.name), "%s", name);
    snprintf(a.canonical, sizeof(a.canonical), "%s", name);
    a.records[0].ttl_s = ttl_s;
    a.records[0].txt.p = mem_zeroed(text_len + 1, 1);
    a.records[0].txt.len = text_len;
    return a;
}

static void
put(struct net_dns_cache *c, const char *name, uint32_t ttl_s, size_t text_len,
    uint64_t now_ms)
{
    struct dns_answer a = found(name, ttl_s, text_len);

    net_dns_cache_put(c, &a, now_ms);
    dns_answer_done(&a);
}

/* The TTL left of what is kept; 0 when nothing is. */
static uint32_t
left(struct net_dns_cache *c, const char *name, uint64_t now_ms)
{
    struct dns_answer a;
    uint32_t ttl_s;

    if (!net_dns_cache_find(c, name, DNS_TXT, now_ms, &a))
        return 0;
    assert_string_equal(a.name, name);
    assert_int_equal(a.records[0].ttl_s, a.ttl_s);
    ttl_s = a.ttl_s;
    dns_answer_done(&a);
    return ttl_s;
}

static void
keeps_an_answer_until_its_ttl_is_over(void **state)
{
    struct net_dns_cache *c = net_dns_cache_new(10, 1 << 20);

    (void)state;
    put(c, "a.test", 10, 5, 1000);
    assert_int_equal(left(c, "a.test", 1000), 10);
    assert_int_equal(left(c, "a.test", 4500), 7);
    assert_int_equal(left(c, "a.test", 10999), 1);
    assert_int_equal(left(c, "a.test", 11000), 0);
    assert_int_equal(left(c, "a.test", 1000), 0);
    net_dns_cache_free(&c);
    net_dns_cache_free(&c);
}

static void
tells_types_apart(void **state)
{
    struct net_dns_cache *c = net_dns_cache_new(10, 1 << 20);
    struct dns_answer a;

    (void)state;
    put(c, "a.test", 10, 5, 0);
    assert_false(net_dns_cache_find(c, "a.test", DNS_MX, 0, &a));
    net_dns_cache_free(&c);
}

static void
the_answer_used_longest_ago_makes_room(void **state)
{
    struct net_dns_cache *c = net_dns_cache_new(3, 1 << 20);

    (void)state;
    put(c, "a.test", 10, 5, 0);
    put(c, "b.test", 10, 5, 0);
    put(c, "c.test", 10, 5, 0);
    assert_int_equal(left(c, "a.test", 0), 10);
    put(c, "d.test", 10, 5, 0);
    assert_int_equal(left(c, "b.test", 0), 0);
    assert_int_equal(left(c, "a.test", 0), 10);
    put(c, "a.test", 20, 5, 0);
    assert_int_equal(left(c, "c.test", 0), 10);
    assert_int_equal(left(c, "a.test", 0), 20);
    net_dns_cache_free(&c);
}

static void
large_answers_are_bounded_by_octets(void **state)
{
    struct net_dns_cache *c = net_dns_cache_new(1000, 100000);

    (void)state;
    for (int i = 0; i < 100; i++) {
        char name[32];

        snprintf(name, sizeof(name), "n%d.test", i);
        put(c, name, 10, 40000, 0);
    }
    assert_int_equal(left(c, "n97.test", 0), 0);
    assert_int_equal(left(c, "n98.test", 0), 10);
    assert_int_equal(left(c, "n99.test", 0), 10);
    put(c, "huge.test", 10, 200000, 0);
    assert_int_equal(left(c, "huge.test", 0), 0);
    net_dns_cache_free(&c);
}

static void
failures_and_ttl_0_are_not_kept(void **state)
{
    struct net_dns_cache *c = net_dns_cache_new(10, 1 << 20);
    struct dns_answer a;

    (void)state;
    put(c, "a.test", 0, 5, 0);
    assert_int_equal(left(c, "a.test", 0), 0);
    dns_answer_fail(&a, "b.test", DNS_TXT, "SERVFAIL");
    a.ttl_s = 10;
    net_dns_cache_put(c, &a, 0);
    dns_answer_done(&a);
    assert_int_equal(left(c, "b.test", 0), 0);
    net_dns_cache_free(&c);
}

static void
forgets_one_name_or_all(void **state)
{
    struct net_dns_cache *c = net_dns_cache_new(10, 1 << 20);

    (void)state;
    put(c, "a.test", 10, 5, 0);
    put(c, "b.test", 10, 5, 0);
    put(c, "c.test", 10, 5, 0);
    net_dns_cache_forget(c, "b.test");
    assert_int_equal(left(c, "a.test", 0), 10);
    assert_int_equal(left(c, "b.test", 0), 0);
    net_dns_cache_forget(c, NULL);
    assert_int_equal(left(c, "a.test", 0), 0);
    net_dns_cache_free(&c);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_an_answer_until_its_ttl_is_over),
        cmocka_unit_test(tells_types_apart),
        cmocka_unit_test(the_answer_used_longest_ago_makes_room),
        cmocka_unit_test(large_answers_are_bounded_by_octets),
        cmocka_unit_test(failures_and_ttl_0_are_not_kept),
        cmocka_unit_test(forgets_one_name_or_all),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
