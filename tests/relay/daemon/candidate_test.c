#include "relay/daemon/candidate.h"

#include "relay/base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct addr
at(const char *text)
{
    struct addr a;
    struct err err;

    assert_true(addr_parse_port(slice_of(text), 25, &a, &err));
    return a;
}

static struct policy_host
host(const char *name, enum policy_proof proof, const char *address)
{
    struct policy_host h = {.proof = proof, .address_count = 1};

    (void)snprintf(h.name, sizeof(h.name), "%s", name);
    h.addresses[0] = at(address);
    if (proof == POLICY_PROOF_PKIX)
        policy_dane_names("", "", "", name, &h.names);
    return h;
}

static struct config_listener own = {.address = "127.0.0.1:2525"};
static const struct config config = {
    .hostname = "relay.example", .listener = &own, .listener_count = 1};

static void
hosts_come_in_the_order_of_the_plan(void **state)
{
    struct policy_host hosts[] = {
        host("mx1.example", POLICY_PROOF_PKIX, "192.0.2.1"),
        host("mx2.example", POLICY_PROOF_PKIX, "192.0.2.2")};
    struct policy_plan plan = {.hosts = hosts, .host_count = 2};
    struct candidate out[POLICY_ADDRESSES_MAX];
    bool loops;

    (void)state;
    assert_int_equal(candidate_list(&plan, &config, NULL, out, &loops), 2);
    assert_false(loops);
    assert_string_equal(out[0].host->name, "mx1.example");
    assert_string_equal(out[1].host->name, "mx2.example");
}

/* Else a host that is down would hide the one that stands in for it. */
static void
many_addresses_of_one_host_leave_room_for_the_next(void **state)
{
    struct policy_host hosts[] = {
        host("mx1.example", POLICY_PROOF_NONE, "192.0.2.1"),
        host("mx2.example", POLICY_PROOF_NONE, "192.0.2.101")};
    struct policy_plan plan = {.hosts = hosts, .host_count = 2};
    struct candidate out[POLICY_ADDRESSES_MAX];
    bool loops;

    (void)state;
    for (size_t h = 0; h < 2; h++) {
        for (size_t i = 0; i < POLICY_ADDRESSES_MAX; i++)
            hosts[h].addresses[i] = at("192.0.2.7");
        hosts[h].address_count = POLICY_ADDRESSES_MAX;
    }
    assert_int_equal(candidate_list(&plan, &config, NULL, out, &loops),
                     POLICY_ADDRESSES_MAX);
    assert_ptr_equal(out[POLICY_ADDRESSES_MAX - 2].host, &hosts[0]);
    assert_ptr_equal(out[POLICY_ADDRESSES_MAX - 1].host, &hosts[1]);
}

/* The families take turns: one that is broken here must not be all there is. */
static void
of_each_host_two_addresses_are_tried(void **state)
{
    struct policy_host hosts[6];
    struct policy_plan plan = {.hosts = hosts, .host_count = 6};
    struct candidate out[POLICY_ADDRESSES_MAX];
    bool loops;

    (void)state;
    for (size_t i = 0; i < 6; i++) {
        hosts[i] = host("mx.example", POLICY_PROOF_NONE, "[2001:db8::1]");
        hosts[i].addresses[hosts[i].address_count++] = at("192.0.2.1");
    }
    assert_int_equal(candidate_list(&plan, &config, NULL, out, &loops),
                     POLICY_ADDRESSES_MAX);
    assert_ptr_equal(out[1].host, &hosts[0]);
    assert_ptr_equal(out[2].host, &hosts[1]);
    assert_int_equal(out[3].address.any.sa_family, AF_INET);
}

static void
we_and_what_is_less_preferred_than_we_are_left_out(void **state)
{
    struct policy_host hosts[] = {
        host("mx1.example", POLICY_PROOF_NONE, "192.0.2.1"),
        host("RELAY.example", POLICY_PROOF_NONE, "192.0.2.9"),
        host("mx3.example", POLICY_PROOF_NONE, "192.0.2.3")};
    struct policy_plan plan = {.hosts = hosts, .host_count = 3};
    struct candidate out[POLICY_ADDRESSES_MAX];
    bool loops;

    (void)state;
    assert_int_equal(candidate_list(&plan, &config, NULL, out, &loops), 1);
    assert_true(loops);
}

static void
our_own_listener_is_never_a_candidate(void **state)
{
    struct policy_host hosts[] = {
        host("mx.example", POLICY_PROOF_NONE, "127.0.0.1:2525")};
    struct policy_plan plan = {.hosts = hosts, .host_count = 1};
    struct candidate out[POLICY_ADDRESSES_MAX];
    bool loops;

    (void)state;
    assert_int_equal(candidate_list(&plan, &config, NULL, out, &loops), 0);
    assert_true(loops);
}

static void
hosts_of_a_route_have_ports_of_their_own(void **state)
{
    struct config_via via[] = {
        {.host = "a.example", .port = 465, .implicit_tls = true},
        {.host = "b.example", .port = 587}};
    struct config_route route = {.via = via, .via_count = 2};
    struct policy_host hosts[] = {
        host("a.example", POLICY_PROOF_PKIX, "192.0.2.1"),
        host("b.example", POLICY_PROOF_PKIX, "192.0.2.2")};
    struct policy_plan plan = {.hosts = hosts, .host_count = 2};
    struct candidate out[POLICY_ADDRESSES_MAX];
    bool loops;

    (void)state;
    hosts[1].index = 1;
    assert_int_equal(candidate_list(&plan, &config, &route, out, &loops), 2);
    assert_int_equal(addr_port(&out[0].address), 465);
    assert_true(out[0].implicit_tls);
    assert_int_equal(addr_port(&out[1].address), 587);
    assert_false(out[1].implicit_tls);
}

static void
a_host_named_twice_has_both_its_ports(void **state)
{
    struct config_via via[] = {{.host = "a.example", .port = 2525},
                               {.host = "b.example", .port = 25},
                               {.host = "A.example", .port = 587}};
    struct config_route route = {.via = via, .via_count = 3};
    struct policy_host hosts[] = {
        host("a.example", POLICY_PROOF_PKIX, "192.0.2.1"),
        host("b.example", POLICY_PROOF_PKIX, "192.0.2.2"),
        host("a.example", POLICY_PROOF_PKIX, "192.0.2.1")};
    struct policy_plan plan = {.hosts = hosts, .host_count = 3};
    struct candidate out[POLICY_ADDRESSES_MAX];
    bool loops;

    (void)state;
    hosts[1].index = 1;
    hosts[2].index = 2;
    assert_int_equal(candidate_list(&plan, &config, &route, out, &loops), 3);
    assert_int_equal(addr_port(&out[0].address), 2525);
    assert_int_equal(addr_port(&out[1].address), 25);
    assert_int_equal(addr_port(&out[2].address), 587);
}

/* What was asked about one port says nothing of another. */
static void
a_host_named_twice_and_refused_once_has_the_other_port(void **state)
{
    struct config_via via[] = {
        {.host = "a.example", .port = 25},
        {.host = "a.example", .port = 465, .implicit_tls = true}};
    struct config_route route = {.via = via, .via_count = 2};
    struct policy_host hosts[] = {
        host("a.example", POLICY_PROOF_ENCRYPT, "192.0.2.1")};
    struct policy_plan plan = {.hosts = hosts, .host_count = 1};
    struct candidate out[POLICY_ADDRESSES_MAX];
    bool loops;

    (void)state;
    hosts[0].index = 1; /* nothing could be learnt about the first */
    assert_int_equal(candidate_list(&plan, &config, &route, out, &loops), 1);
    assert_int_equal(addr_port(&out[0].address), 465);
    assert_true(out[0].implicit_tls);
}

static void
a_port_for_tls_demands_it_whatever_the_route_says(void **state)
{
    struct config_via via[] = {
        {.host = "a.example", .port = 25},
        {.host = "b.example", .port = 465, .implicit_tls = true},
        {.host = "c.example", .port = 465, .implicit_tls = true}};
    struct config_route route = {.via = via, .via_count = 3};
    struct policy_host hosts[] = {
        host("a.example", POLICY_PROOF_NONE, "192.0.2.1"),
        host("b.example", POLICY_PROOF_NONE, "192.0.2.2"),
        host("c.example", POLICY_PROOF_PKIX, "192.0.2.3")};
    struct policy_plan plan = {.hosts = hosts, .host_count = 3};
    struct candidate out[POLICY_ADDRESSES_MAX];
    bool loops;

    (void)state;
    hosts[1].index = 1;
    hosts[2].index = 2;
    assert_int_equal(candidate_list(&plan, &config, &route, out, &loops), 3);
    assert_int_equal(out[0].proof, POLICY_PROOF_NONE);
    assert_int_equal(out[1].proof, POLICY_PROOF_ENCRYPT);
    assert_int_equal(out[2].proof, POLICY_PROOF_PKIX);
}

/* Two connections may be shared only when all that was proven is the same. */
static void
keys_differ_in_everything_that_matters(void **state)
{
    struct policy_host hosts[] = {
        host("mx.example", POLICY_PROOF_PKIX, "192.0.2.1"),
        host("mx.example", POLICY_PROOF_NONE, "192.0.2.1"),
        host("mx.example", POLICY_PROOF_PKIX, "192.0.2.2"),
        host("other.example", POLICY_PROOF_PKIX, "192.0.2.1"),
        host("mx.example", POLICY_PROOF_NONE, "192.0.2.1")};
    char *keys[6];

    (void)state;
    hosts[4].observe = true;
    for (size_t i = 0; i < 5; i++) {
        struct candidate c = {.host = &hosts[i],
                              .address = hosts[i].addresses[0],
                              .proof = hosts[i].proof};

        keys[i] = candidate_key(&c, false);
        if (i == 1)
            keys[5] = candidate_key(&c, true);
    }
    for (size_t i = 0; i < 6; i++)
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(keys[i], keys[k]);
    for (size_t i = 0; i < 6; i++)
        free(keys[i]);
}

static void
the_handshake_checks_what_the_plan_wants(void **state)
{
    static const struct {
        enum policy_proof proof;
        enum net_tls_check check;
    } cases[] = {
        {POLICY_PROOF_NONE, NET_TLS_CHECK_OBSERVE},
        {POLICY_PROOF_ENCRYPT, NET_TLS_CHECK_OBSERVE},
        {POLICY_PROOF_PKIX, NET_TLS_CHECK_PKIX},
        {POLICY_PROOF_DANE, NET_TLS_CHECK_DANE},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct policy_host h = host("mx.example", cases[i].proof, "192.0.2.1");
        struct candidate c = {
            .host = &h, .address = h.addresses[0], .proof = h.proof};
        struct candidate_pins pins;
        struct net_tls_setup setup = candidate_tls(&c, NULL, "key", &pins);

        assert_int_equal(setup.check, cases[i].check);
        assert_string_equal(setup.sni, "mx.example");
        assert_string_equal(setup.names[0], "mx.example");
        assert_string_equal(setup.session_key, "key");
    }
}

static void
records_and_pins_go_with_the_handshake(void **state)
{
    uint8_t digest[32] = {1};
    struct policy_dane_record record = {3, 1, 1, digest, sizeof(digest)};
    struct policy_fingerprint known = {.of = POLICY_FINGERPRINT_KEY,
                                       .sha256 = {7}};
    struct policy_host h = host("mx.example", POLICY_PROOF_DANE, "192.0.2.1");
    struct candidate c = {
        .host = &h, .address = h.addresses[0], .proof = POLICY_PROOF_DANE};
    struct candidate_pins pins;
    struct net_tls_setup setup;

    (void)state;
    (void)snprintf(h.dane_base, sizeof(h.dane_base), "base.example");
    h.tlsa = (struct policy_dane_set){&record, 1};
    h.fingerprints = &known;
    h.fingerprint_count = 1;
    policy_dane_names("base.example", "next.example", "", "mx.example",
                      &h.names);
    setup = candidate_tls(&c, NULL, "key", &pins);
    assert_int_equal(setup.tlsa_count, 1);
    assert_int_equal(setup.tlsa[0].usage, 3);
    assert_ptr_equal(setup.tlsa[0].data, digest);
    assert_string_equal(setup.dane_base, "base.example");
    assert_string_equal(setup.sni, "base.example");
    assert_string_equal(setup.names[1], "next.example");
    assert_int_equal(setup.fingerprint_count, 1);
    assert_true(setup.fingerprints[0].of_key);
    assert_int_equal(setup.fingerprints[0].sha256[0], 7);
}

static void
an_address_is_no_server_name(void **state)
{
    struct policy_host h = host("192.0.2.1", POLICY_PROOF_NONE, "192.0.2.1");
    struct candidate c = {.host = &h, .address = h.addresses[0]};

    struct candidate_pins pins;

    (void)state;
    assert_null(candidate_tls(&c, NULL, "key", &pins).sni);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hosts_come_in_the_order_of_the_plan),
        cmocka_unit_test(many_addresses_of_one_host_leave_room_for_the_next),
        cmocka_unit_test(of_each_host_two_addresses_are_tried),
        cmocka_unit_test(we_and_what_is_less_preferred_than_we_are_left_out),
        cmocka_unit_test(our_own_listener_is_never_a_candidate),
        cmocka_unit_test(hosts_of_a_route_have_ports_of_their_own),
        cmocka_unit_test(a_host_named_twice_has_both_its_ports),
        cmocka_unit_test(
            a_host_named_twice_and_refused_once_has_the_other_port),
        cmocka_unit_test(a_port_for_tls_demands_it_whatever_the_route_says),
        cmocka_unit_test(keys_differ_in_everything_that_matters),
        cmocka_unit_test(the_handshake_checks_what_the_plan_wants),
        cmocka_unit_test(records_and_pins_go_with_the_handshake),
        cmocka_unit_test(an_address_is_no_server_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
