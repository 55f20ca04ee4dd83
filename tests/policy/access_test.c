#include "policy/access.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct addr
peer(const char *text)
{
    struct addr a;
    struct err err = {0};

    if (!addr_parse(slice_of(text), &a, &err))
        fail_msg("%s", err.text);
    return a;
}

static struct mail_address
mailbox(const char *text)
{
    struct mail_address a = {.text = ""};
    struct err err = {0};

    if (text[0] && !mail_address_parse(slice_of(text), true, &a, &err))
        fail_msg("%s: %s", text, err.text);
    return a;
}

static const struct {
    const char *client;
    bool may;
} clients[] = {
    {"192.0.2.1", true},
    {"192.0.2.127", true},
    {"192.0.2.128", false},
    {"2001:db8::1", true},
    {"2001:db9::1", false},
    {"::ffff:192.0.2.1", true},
    {"::ffff:192.0.2.200", false},
    {"127.0.0.1", false},
    {"::1", false},
};

static void
clients_of_the_networks_may_relay(void **state)
{
    struct addr_net nets[2];
    struct policy_access_rules r = {.networks = nets, .network_count = 2};
    struct err err = {0};

    (void)state;
    assert_true(addr_net_parse(slice_of("192.0.2.0/25"), &nets[0], &err));
    assert_true(addr_net_parse(slice_of("2001:db8::/32"), &nets[1], &err));
    for (size_t i = 0; i < sizeof(clients) / sizeof(clients[0]); i++) {
        struct addr a = peer(clients[i].client);
        struct mail_status why = {0};

        if (policy_access_client(&r, &a, &why) != clients[i].may)
            fail_msg("%s", clients[i].client);
        assert_int_equal(why.code, clients[i].may ? 0 : 554);
    }
}

static void
without_networks_only_a_unix_socket_may_relay(void **state)
{
    struct policy_access_rules r = {0};
    struct addr local = {.any.sa_family = AF_UNSPEC}, a = peer("127.0.0.1");
    struct mail_status why = {0};

    (void)state;
    assert_true(policy_access_client(&r, &local, &why));
    assert_false(policy_access_client(&r, &a, &why));
    assert_true(mail_status_is_permanent(&why));
    assert_non_null(strstr(why.text, "127.0.0.1"));
}

static const struct {
    const char *address;
    bool may;
} addresses[] = {
    {"a@example.com", true},
    {"a@EXAMPLE.com", true},
    {"\"x@evil.example\"@example.com", true},
    {"a@b\xc3\xbc"
     "cher.example",
     true}, /* xn--bcher-kva.example */
    {"a@sub.example.com", false},
    {"a@example.com.evil.example", false},
    {"a@evilexample.com", false},
    {"\"a@example.com\"@evil.example", false},
    {"a@[192.0.2.1]", false},
};

static void
lists_of_domains_are_exact(void **state)
{
    static const char *const domains[] = {"example.com",
                                          "xn--bcher-kva.example"};
    struct policy_access_rules senders = {.sender_domains = domains,
                                          .sender_domain_count = 2};
    struct policy_access_rules recipients = {.recipient_domains = domains,
                                             .recipient_domain_count = 2};

    (void)state;
    for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
        struct mail_address a = mailbox(addresses[i].address);
        struct mail_status why = {0}, why_to = {0};

        if (policy_access_sender(&senders, &a, &why) != addresses[i].may ||
            policy_access_recipient(&recipients, &a, &why_to) !=
                addresses[i].may)
            fail_msg("%s", addresses[i].address);
        assert_int_equal(why.code, addresses[i].may ? 0 : 550);
        assert_int_equal(why_to.code, addresses[i].may ? 0 : 550);
        /* each list is for its own side */
        assert_true(policy_access_sender(&recipients, &a, &why));
        assert_true(policy_access_recipient(&senders, &a, &why));
    }
}

static void
the_null_reverse_path_may_always_send(void **state)
{
    static const char *const domains[] = {"example.com"};
    struct policy_access_rules r = {.sender_domains = domains,
                                    .sender_domain_count = 1};
    struct mail_address a = mailbox("");
    struct mail_status why = {0};

    (void)state;
    assert_true(policy_access_sender(&r, &a, &why));
}

static void
a_refusal_names_the_domain_and_the_rule(void **state)
{
    static const char *const domains[] = {"example.com"};
    struct policy_access_rules r = {.sender_domains = domains,
                                    .sender_domain_count = 1};
    struct mail_address a = mailbox("a@evil.example");
    struct mail_status why = {0};

    (void)state;
    assert_false(policy_access_sender(&r, &a, &why));
    assert_non_null(strstr(why.text, "evil.example"));
    assert_non_null(strstr(why.text, "access.sender_domains"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clients_of_the_networks_may_relay),
        cmocka_unit_test(without_networks_only_a_unix_socket_may_relay),
        cmocka_unit_test(lists_of_domains_are_exact),
        cmocka_unit_test(the_null_reverse_path_may_always_send),
        cmocka_unit_test(a_refusal_names_the_domain_and_the_rule),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
