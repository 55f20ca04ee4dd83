#include "relay/daemon/gate.h"

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

static void
one_client_has_its_limit(void **state)
{
    struct gate *g = gate_new(1000);
    struct addr a = host("192.0.2.1"), b = host("192.0.2.2");

    (void)state;
    for (int i = 0; i < GATE_PER_CLIENT_MAX; i++)
        assert_true(gate_enter(g, &a));
    assert_false(gate_enter(g, &a));
    assert_true(gate_enter(g, &b));
    gate_leave(g, &a);
    assert_true(gate_enter(g, &a));
    assert_int_equal(gate_count(g), GATE_PER_CLIENT_MAX + 1);
    gate_free(&g);
}

/* Whoever has one IPv6 address has a whole network of them. */
static void
a_network_of_ipv6_is_one_client(void **state)
{
    struct gate *g = gate_new(1000);
    struct addr other = host("2001:db8:0:1::1");
    struct addr late = host("2001:db8::ffff:1");
    char text[64];

    (void)state;
    for (int i = 0; i < GATE_PER_CLIENT_MAX; i++) {
        struct addr a;

        (void)snprintf(text, sizeof(text), "2001:db8::%x:1", i);
        a = host(text);
        assert_true(gate_enter(g, &a));
    }
    assert_false(gate_enter(g, &late));
    assert_true(gate_enter(g, &other));
    gate_leave(g, &late);
    assert_true(gate_enter(g, &late));
    gate_free(&g);
}

static void
all_together_have_theirs(void **state)
{
    struct gate *g = gate_new(3);
    struct addr near = host("127.0.0.1");

    (void)state;
    for (int i = 0; i < 3; i++)
        assert_true(gate_enter(g, &near));
    assert_false(gate_enter(g, &near));
    gate_leave(g, &near);
    assert_true(gate_enter(g, &near));
    gate_free(&g);
}

static void
this_machine_is_not_held_to_the_limit_of_one_client(void **state)
{
    struct gate *g = gate_new(1000);
    struct addr near = host("127.0.0.1"), local = {0};

    (void)state;
    for (int i = 0; i < GATE_PER_CLIENT_MAX + 10; i++) {
        assert_true(gate_enter(g, &near));
        assert_true(gate_enter(g, &local));
    }
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
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
