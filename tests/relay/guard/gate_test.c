#include "relay/guard/gate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static struct addr
host(const char *text)
{
    struct addr a;
    struct err err;

    assert_true(addr_parse(slice_of(text), &a, &err));
    return a;
}

static const struct gate_limits few = {.connections_per_client = 50};

/* Both steps, as for a client that is no proxy. */
static bool
come(struct gate *g, const struct addr *a, const struct gate_limits *limits,
     int64_t now_ms, struct gate_pass *pass)
{
    *pass = (struct gate_pass){0};
    if (gate_enter(g, "app", limits, pass))
        return false;
    if (!gate_admit(g, a, limits, now_ms, pass))
        return true;
    gate_leave(g, pass);
    return false;
}

static void
one_client_has_its_limit(void **state)
{
    struct gate *g = gate_new(1000);
    struct addr a = host("192.0.2.1"), b = host("192.0.2.2");
    struct gate_pass pass, last;

    (void)state;
    for (int i = 0; i < 50; i++)
        assert_true(come(g, &a, &few, 0, &pass));
    assert_false(come(g, &a, &few, 0, &last));
    assert_true(come(g, &b, &few, 0, &last));
    gate_leave(g, &pass);
    assert_true(come(g, &a, &few, 0, &pass));
    assert_int_equal(gate_count(g), 51);
    gate_free(&g);
}

/* Whoever has one IPv6 address has a whole network of them. */
static void
a_network_of_ipv6_is_one_client(void **state)
{
    struct gate *g = gate_new(1000);
    struct addr other = host("2001:db8:0:1::1");
    struct addr late = host("2001:db8::ffff:1");
    struct gate_pass pass, last;
    char text[64];

    (void)state;
    for (int i = 0; i < 50; i++) {
        struct addr a;

        (void)snprintf(text, sizeof(text), "2001:db8::%x:1", i);
        a = host(text);
        assert_true(come(g, &a, &few, 0, &pass));
    }
    assert_false(come(g, &late, &few, 0, &last));
    assert_true(come(g, &other, &few, 0, &last));
    gate_leave(g, &pass);
    assert_true(come(g, &late, &few, 0, &pass));
    gate_free(&g);
}

static void
all_together_have_theirs(void **state)
{
    struct gate *g = gate_new(3);
    struct addr near = host("127.0.0.1");
    struct gate_pass pass, last;

    (void)state;
    for (int i = 0; i < 3; i++)
        assert_true(come(g, &near, &few, 0, &pass));
    assert_false(come(g, &near, &few, 0, &last));
    gate_leave(g, &pass);
    assert_true(come(g, &near, &few, 0, &pass));
    gate_free(&g);
}

static void
this_machine_is_not_held_to_the_limit_of_one_client(void **state)
{
    struct gate *g = gate_new(1000);
    struct addr near = host("127.0.0.1"), local = {0};
    struct gate_pass pass;

    (void)state;
    for (int i = 0; i < 60; i++) {
        assert_true(come(g, &near, &few, 0, &pass));
        assert_true(come(g, &local, &few, 0, &pass));
    }
    gate_free(&g);
}

static void
a_listener_has_a_limit_of_its_own(void **state)
{
    struct gate *g = gate_new(1000);
    struct gate_limits two = {.connections = 2};
    struct gate_pass first = {0}, second = {0}, third = {0}, other = {0};

    (void)state;
    assert_null(gate_enter(g, "a", &two, &first));
    assert_null(gate_enter(g, "a", &two, &second));
    assert_non_null(gate_enter(g, "a", &two, &third));
    assert_null(gate_enter(g, "b", &two, &other));
    gate_leave(g, &first);
    assert_null(gate_enter(g, "a", &two, &third));
    gate_leave(g, &second);
    gate_leave(g, &third);
    gate_leave(g, &other);
    assert_int_equal(gate_count(g), 0);
    gate_free(&g);
}

static void
a_client_has_a_rate_that_comes_back_with_time(void **state)
{
    struct gate *g = gate_new(1000);
    struct gate_limits limits = {.rate = {3, 60 * 1000}};
    struct addr a = host("192.0.2.1"), b = host("192.0.2.2");
    struct gate_pass pass;

    (void)state;
    for (int i = 0; i < 3; i++) {
        assert_true(come(g, &a, &limits, 5000, &pass));
        gate_leave(g, &pass); /* that it has gone again changes nothing */
    }
    assert_false(come(g, &a, &limits, 5001, &pass));
    assert_true(come(g, &b, &limits, 5001, &pass));
    assert_false(come(g, &a, &limits, 5000 + 19 * 1000, &pass));
    assert_true(come(g, &a, &limits, 5000 + 21 * 1000, &pass));
    assert_false(come(g, &a, &limits, 5000 + 21 * 1000, &pass));
    for (int i = 0; i < 3; i++)
        assert_true(come(g, &a, &limits, 3600 * 1000, &pass));
    assert_false(come(g, &a, &limits, 3600 * 1000, &pass));
    gate_free(&g);
}

static void
when_places_are_scarce_one_client_takes_few(void **state)
{
    struct gate *g = gate_new(100);
    struct addr greedy = host("192.0.2.1"), late;
    struct gate_limits any = {0};
    struct gate_pass pass;
    unsigned got = 0;
    char text[64];

    (void)state;
    while (come(g, &greedy, &any, 0, &pass))
        got++;
    assert_int_equal(got, 75);
    for (int i = 0; i < 4; i++) {
        (void)snprintf(text, sizeof(text), "192.0.2.%d", 10 + i);
        late = host(text);
        for (int j = 0; j < GATE_SCARCE_PER_CLIENT; j++)
            assert_true(come(g, &late, &any, 0, &pass));
        assert_false(come(g, &late, &any, 0, &pass));
    }
    gate_free(&g);
}

static void
clients_that_only_pass_by_are_not_all_remembered(void **state)
{
    struct gate *g = gate_new(10);
    struct gate_limits once = {.rate = {1, 3600 * 1000}};
    struct addr first = host("10.0.0.0"), a;
    struct gate_pass pass;

    (void)state;
    assert_true(come(g, &first, &once, 1, &pass));
    gate_leave(g, &pass);
    assert_false(come(g, &first, &once, 1, &pass));
    for (unsigned i = 1; i <= GATE_IDLE_MAX; i++) {
        a = addr_from_v4((struct in_addr){htonl(0x0a000000U + i)}, 0);
        assert_true(come(g, &a, &once, 1, &pass));
        gate_leave(g, &pass);
    }
    assert_true(come(g, &first, &once, 1, &pass));
    gate_free(&g);
}

static void
each_listener_has_its_own_count(void **state)
{
    struct gate *g = gate_new(10);
    struct gate_pass a = {0}, b = {0}, c = {0};
    const struct gate_limits none = {0};

    (void)state;
    assert_null(gate_enter(g, "app", &none, &a));
    assert_null(gate_enter(g, "app", &none, &b));
    assert_null(gate_enter(g, "other", &none, &c));
    assert_int_equal(gate_count_at(g, "app"), 2);
    assert_int_equal(gate_count_at(g, "other"), 1);
    assert_int_equal(gate_count_at(g, "nobody"), 0);
    gate_leave(g, &a);
    assert_int_equal(gate_count_at(g, "app"), 1);
    gate_leave(g, &b);
    gate_leave(g, &c);
    assert_int_equal(gate_count_at(g, "app"), 0);
    gate_free(&g);
}

static void
a_flood_of_refusals_is_told_once_a_second(void **state)
{
    struct gate *g = gate_new(1);

    (void)state;
    assert_int_equal(gate_refused(g, 500), 1);
    for (int i = 0; i < 41; i++)
        assert_int_equal(gate_refused(g, 1400), 0);
    assert_int_equal(gate_refused(g, 1500), 42);
    assert_int_equal(gate_refused(g, 9000), 1);
    gate_free(&g);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_client_has_its_limit),
        cmocka_unit_test(a_network_of_ipv6_is_one_client),
        cmocka_unit_test(all_together_have_theirs),
        cmocka_unit_test(this_machine_is_not_held_to_the_limit_of_one_client),
        cmocka_unit_test(a_listener_has_a_limit_of_its_own),
        cmocka_unit_test(a_client_has_a_rate_that_comes_back_with_time),
        cmocka_unit_test(when_places_are_scarce_one_client_takes_few),
        cmocka_unit_test(each_listener_has_its_own_count),
        cmocka_unit_test(a_flood_of_refusals_is_told_once_a_second),
        cmocka_unit_test(clients_that_only_pass_by_are_not_all_remembered),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
