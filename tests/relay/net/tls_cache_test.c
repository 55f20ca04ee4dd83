#include "relay/net/tls_cache.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

enum { NOW_S = 1700000000 };

/* A session that could be resumed, as far as OpenSSL can tell. */
static SSL_SESSION *
session(void)
{
    static const unsigned char id[8] = "session";
    SSL_SESSION *s = SSL_SESSION_new();

    assert_int_equal(SSL_SESSION_set1_id(s, id, sizeof(id)), 1);
    return s;
}

static void
put(struct net_tls_cache *cache, const char *key, int64_t proven_s)
{
    struct net_tls_facts facts = {.verdict = NET_TLS_VERIFIED,
                                  .not_after = NOW_S + 100000};

    net_tls_cache_put(cache, key, session(), &facts, proven_s);
}

static void
a_session_is_found_under_its_key_alone(void **state)
{
    struct net_tls_cache cache = {0};

    (void)state;
    assert_null(net_tls_cache_find(&cache, "mx", NOW_S));
    put(&cache, "mx", NOW_S);
    assert_non_null(net_tls_cache_find(&cache, "mx", NOW_S));
    assert_null(net_tls_cache_find(&cache, "m", NOW_S));
    assert_null(net_tls_cache_find(&cache, "mxx", NOW_S));
    assert_null(net_tls_cache_find(&cache, "", NOW_S));
    net_tls_cache_done(&cache);
    net_tls_cache_done(&cache);
}

static void
a_session_grows_old(void **state)
{
    struct net_tls_cache cache = {0};

    (void)state;
    put(&cache, "mx", NOW_S);
    assert_non_null(
        net_tls_cache_find(&cache, "mx", NOW_S + NET_TLS_SESSION_AGE_S));
    assert_null(
        net_tls_cache_find(&cache, "mx", NOW_S + NET_TLS_SESSION_AGE_S + 1));
    assert_null(net_tls_cache_find(&cache, "mx", NOW_S - 1));
    net_tls_cache_done(&cache);
}

static void
a_certificate_that_has_expired_is_proven_no_more(void **state)
{
    struct net_tls_facts facts = {.verdict = NET_TLS_VERIFIED,
                                  .not_after = NOW_S + 10};
    struct net_tls_cache cache = {0};

    (void)state;
    net_tls_cache_put(&cache, "mx", session(), &facts, NOW_S);
    assert_non_null(net_tls_cache_find(&cache, "mx", NOW_S + 9));
    assert_null(net_tls_cache_find(&cache, "mx", NOW_S + 10));
    net_tls_cache_done(&cache);
}

static void
a_newer_session_replaces_the_one_of_its_key(void **state)
{
    struct net_tls_cache cache = {0};

    (void)state;
    put(&cache, "mx", NOW_S);
    put(&cache, "mx", NOW_S + 5);
    assert_int_equal(net_tls_cache_find(&cache, "mx", NOW_S + 5)->proven_s,
                     NOW_S + 5);
    net_tls_cache_done(&cache);
}

static void
a_full_cache_drops_the_oldest(void **state)
{
    struct net_tls_cache cache = {0};
    char key[16];

    (void)state;
    for (int i = 0; i < NET_TLS_SESSIONS_MAX + 1; i++) {
        (void)snprintf(key, sizeof(key), "mx%d", i);
        put(&cache, key, NOW_S + i);
    }
    assert_null(net_tls_cache_find(&cache, "mx0", NOW_S + 300));
    assert_non_null(net_tls_cache_find(&cache, "mx1", NOW_S + 300));
    assert_non_null(net_tls_cache_find(&cache, key, NOW_S + 300));
    net_tls_cache_done(&cache);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_session_is_found_under_its_key_alone),
        cmocka_unit_test(a_session_grows_old),
        cmocka_unit_test(a_certificate_that_has_expired_is_proven_no_more),
        cmocka_unit_test(a_newer_session_replaces_the_one_of_its_key),
        cmocka_unit_test(a_full_cache_drops_the_oldest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
