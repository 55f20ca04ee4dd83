#include "relay/daemon/refresher.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static const int64_t hour = 3600 * INT64_C(1000);
static const int64_t day = 24 * 3600 * INT64_C(1000);
static const int64_t now = 1800000000000;

static struct policy_sts_entry
entry(const char *domain, int64_t max_age_ms)
{
    static char text[] = "version: STSv1\n";
    struct policy_sts_entry e = {.text = text,
                                 .fetched_ms = now,
                                 .expires_ms = now + max_age_ms,
                                 .used_ms = now,
                                 .checked_ms = now};

    (void)snprintf(e.domain.text, sizeof(e.domain.text), "%s", domain);
    return e;
}

static void
a_policy_is_renewed_within_a_day(void **state)
{
    static const char *const domains[] = {"a.example", "b.example",
                                          "long.name.of.a.domain.example"};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct policy_sts_entry e = entry(domains[i], 90 * day);

        assert_in_range(refresher_due_ms(&e) - now, 21 * hour, day);
    }
}

static void
not_all_of_them_at_the_same_time(void **state)
{
    struct policy_sts_entry a = entry("a.example", 90 * day),
                            b = entry("other.example", 90 * day);

    (void)state;
    assert_int_not_equal(refresher_due_ms(&a), refresher_due_ms(&b));
}

/* RFC 8461 section 10.2: long before it could expire. */
static void
a_short_lived_policy_is_renewed_half_way(void **state)
{
    struct policy_sts_entry e = entry("a.example", 4 * hour);

    (void)state;
    assert_int_equal(refresher_due_ms(&e), now + 2 * hour);
}

static void
what_no_mail_asks_for_is_forgotten_in_half_a_year(void **state)
{
    struct policy_sts_entry e = entry("a.example", 365 * day);

    (void)state;
    assert_false(refresher_is_unused(&e, now + 179 * day));
    assert_true(refresher_is_unused(&e, now + 181 * day));
    e.used_ms = now + 100 * day;
    assert_false(refresher_is_unused(&e, now + 181 * day));
}

static void
an_expired_policy_is_of_no_more_use(void **state)
{
    struct policy_sts_entry e = entry("a.example", day);

    (void)state;
    assert_false(refresher_is_unused(&e, now + day));
    assert_true(refresher_is_unused(&e, now + day + 1));
}

static void
a_failure_alone_is_remembered_for_a_day(void **state)
{
    struct policy_sts_entry e = entry("a.example", 0);

    (void)state;
    e.text = NULL;
    assert_int_equal(refresher_due_ms(&e), now + day);
    assert_false(refresher_is_unused(&e, now + day));
    assert_true(refresher_is_unused(&e, now + day + 1));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_policy_is_renewed_within_a_day),
        cmocka_unit_test(not_all_of_them_at_the_same_time),
        cmocka_unit_test(a_short_lived_policy_is_renewed_half_way),
        cmocka_unit_test(what_no_mail_asks_for_is_forgotten_in_half_a_year),
        cmocka_unit_test(an_expired_policy_is_of_no_more_use),
        cmocka_unit_test(a_failure_alone_is_remembered_for_a_day),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
