#include "relay/guard/login_cache.h"

#include "relay/base/own.h"

#include <stdio.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const uint8_t key[LOGIN_CACHE_KEY] = {1};
static const int64_t start = 1800000000000;

static bool
has(struct login_cache *c, const char *user, const char *password,
    const char *hash, int64_t now)
{
    return login_cache_has(c, user, slice_of(password), hash, now);
}

static void
only_the_same_login_is_there_and_only_for_a_minute(void **state)
{
    scoped(login_cache_free) struct login_cache *c = login_cache_new(key);

    (void)state;
    assert_false(has(c, "a", "pw", "$6$x", start));
    login_cache_put(c, "a", slice_of("pw"), "$6$x", start);
    assert_true(has(c, "a", "pw", "$6$x", start));
    assert_true(has(c, "a", "pw", "$6$x", start + LOGIN_CACHE_MS - 1));
    assert_false(has(c, "a", "pw", "$6$x", start + LOGIN_CACHE_MS));
    assert_false(has(c, "a", "pw2", "$6$x", start));
    assert_false(has(c, "a", "", "$6$x", start));
    assert_false(has(c, "b", "pw", "$6$x", start));
    assert_false(has(c, "a", "pw", "$6$y", start)); /* it was changed */
    assert_false(has(c, "ap", "w", "$6$x", start));
    login_cache_put(c, "a", slice_of("pw"), "$6$x", start + LOGIN_CACHE_MS);
    assert_true(has(c, "a", "pw", "$6$x", start + LOGIN_CACHE_MS));
}

static void
the_oldest_makes_room(void **state)
{
    scoped(login_cache_free) struct login_cache *c = login_cache_new(key);

    (void)state;
    for (unsigned i = 0; i <= LOGIN_CACHE_MAX; i++) {
        char user[32];

        (void)snprintf(user, sizeof(user), "user%u", i);
        login_cache_put(c, user, slice_of("pw"), "h", start + i);
    }
    assert_false(has(c, "user0", "pw", "h", start));
    assert_true(has(c, "user1", "pw", "h", start));
    assert_true(has(c, "user1000", "pw", "h", start));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_same_login_is_there_and_only_for_a_minute),
        cmocka_unit_test(the_oldest_makes_room),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
