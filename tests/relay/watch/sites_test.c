#include "relay/watch/sites.h"

#include "relay/base/own.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static void
a_site_is_the_end_of_a_name(void **state)
{
    static const struct {
        const char *host, *want;
    } rows[] = {
        {"mx.example.com", "example.com"},
        {"a.b.c.Example.COM", "example.com"},
        {"example.com", "example.com"},
        {"example.com.", "example.com"},
        {"localhost", "localhost"},
        {"", ""},
        {".", ""},
        {"mx1.in.example.co.uk", "example.co.uk"},
        {"mx.example.com.au", "example.com.au"},
        {"example.co.uk", "example.co.uk"},
        {"co.uk", "co.uk"},
        {"mx.web.de", "mx.web.de"}, /* a short name below two letters */
        {"mx.example.de", "example.de"},
        {"aspmx.l.google.com", "google.com"},
        {"x-com.mail.protection.outlook.com", "outlook.com"},
        {"192.0.2.1", "address"},
        {"2001:db8::1", "address"},
    };
    char name[SITES_NAME_SIZE];

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        assert_string_equal(sites_name(rows[i].host, name), rows[i].want);
}

static void
a_long_name_is_cut(void **state)
{
    char host[300], name[SITES_NAME_SIZE];

    (void)state;
    memset(host, 'a', sizeof(host) - 1);
    host[sizeof(host) - 1] = '\0';
    assert_int_equal(strlen(sites_name(host, name)), SITES_NAME_SIZE - 1);
}

static const char *
count(struct sites *s, const char *kind, int i)
{
    char host[64], domain[64];

    (void)snprintf(host, sizeof(host), "mx.%s%d.example", kind, i);
    (void)snprintf(domain, sizeof(domain), "%s%d.test", kind, i);
    return sites_count(s, domain, host);
}

static void
the_first_sites_have_a_name_at_once(void **state)
{
    struct sites *s scoped(sites_free) = sites_new();
    char want[64];

    (void)state;
    for (int i = 0; i < SITES_FIRST; i++) {
        (void)snprintf(want, sizeof(want), "n%d.example", i);
        assert_string_equal(count(s, "n", i), want);
    }
    assert_string_equal(count(s, "late", 0), SITES_OTHER);
    assert_string_equal(count(s, "n", 3), "n3.example");
}

static void
who_gets_much_earns_a_name_among_very_many(void **state)
{
    struct sites *s scoped(sites_free) = sites_new();
    const char *name = "";

    (void)state;
    for (int i = 0; i < SITES_FIRST; i++)
        (void)count(s, "n", i);
    for (int i = 0; i < 10000 && strcmp(name, "big1.example") != 0; i++) {
        assert_string_equal(count(s, "small", i), SITES_OTHER);
        name = count(s, "big", 1);
    }
    assert_string_equal(name, "big1.example");
}

static void
no_number_of_sites_makes_more_names(void **state)
{
    struct sites *s scoped(sites_free) = sites_new();
    int named = 0;

    (void)state;
    for (int i = 0; i < 100; i++)
        for (int n = 0; n < SITES_EARN; n++)
            named += n == SITES_EARN - 1 &&
                     strcmp(count(s, "big", i), SITES_OTHER) != 0;
    /* The last that comes is the one that earns. */
    for (int i = 0; i < 100; i++)
        named += strcmp(count(s, "big", i), SITES_OTHER) != 0;
    assert_true(named <= 2 * SITES_MAX);
    assert_true(named >= SITES_MAX);
}

static void
where_mail_went_is_known_and_forgotten_in_the_end(void **state)
{
    struct sites *s scoped(sites_free) = sites_new();

    (void)state;
    assert_string_equal(sites_find(s, "n0.test"), SITES_NONE);
    assert_string_equal(sites_count(s, "dead.test", NULL), SITES_NONE);
    (void)count(s, "n", 0);
    assert_string_equal(sites_find(s, "n0.test"), "n0.example");
    for (int i = 0; i < SITES_KNOWN_MAX; i++)
        (void)count(s, "m", i);
    assert_string_equal(sites_find(s, "n0.test"), SITES_NONE);
    assert_string_equal(sites_find(s, "m4999.test"), SITES_OTHER);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_site_is_the_end_of_a_name),
        cmocka_unit_test(a_long_name_is_cut),
        cmocka_unit_test(the_first_sites_have_a_name_at_once),
        cmocka_unit_test(who_gets_much_earns_a_name_among_very_many),
        cmocka_unit_test(no_number_of_sites_makes_more_names),
        cmocka_unit_test(where_mail_went_is_known_and_forgotten_in_the_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
