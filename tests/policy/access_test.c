#include "policy/access.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

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

/* --- who may relay at all ---
 *
 * All there is: three kinds of peer, with and without a user or a certificate,
 * at each kind of listener. */

enum peer_kind { STRANGER, LISTED, LOCAL };

static const struct {
    enum policy_access_auth auth;
    enum peer_kind peer;
    bool is_user, has_certificate;
    int code; /* 0: it may */
} relaying[] = {
    {POLICY_ACCESS_AUTH_OFF, STRANGER, false, false, 554},
    {POLICY_ACCESS_AUTH_OFF, STRANGER, false, true, 0},
    {POLICY_ACCESS_AUTH_OFF, STRANGER, true, false, 0},
    {POLICY_ACCESS_AUTH_OFF, STRANGER, true, true, 0},
    {POLICY_ACCESS_AUTH_OFF, LISTED, false, false, 0},
    {POLICY_ACCESS_AUTH_OFF, LISTED, false, true, 0},
    {POLICY_ACCESS_AUTH_OFF, LISTED, true, false, 0},
    {POLICY_ACCESS_AUTH_OFF, LISTED, true, true, 0},
    {POLICY_ACCESS_AUTH_OFF, LOCAL, false, false, 0},
    {POLICY_ACCESS_AUTH_OFF, LOCAL, false, true, 0},
    {POLICY_ACCESS_AUTH_OFF, LOCAL, true, false, 0},
    {POLICY_ACCESS_AUTH_OFF, LOCAL, true, true, 0},
    {POLICY_ACCESS_AUTH_OPTIONAL, STRANGER, false, false, 530},
    {POLICY_ACCESS_AUTH_OPTIONAL, STRANGER, false, true, 0},
    {POLICY_ACCESS_AUTH_OPTIONAL, STRANGER, true, false, 0},
    {POLICY_ACCESS_AUTH_OPTIONAL, STRANGER, true, true, 0},
    {POLICY_ACCESS_AUTH_OPTIONAL, LISTED, false, false, 0},
    {POLICY_ACCESS_AUTH_OPTIONAL, LISTED, false, true, 0},
    {POLICY_ACCESS_AUTH_OPTIONAL, LISTED, true, false, 0},
    {POLICY_ACCESS_AUTH_OPTIONAL, LISTED, true, true, 0},
    {POLICY_ACCESS_AUTH_OPTIONAL, LOCAL, false, false, 0},
    {POLICY_ACCESS_AUTH_OPTIONAL, LOCAL, false, true, 0},
    {POLICY_ACCESS_AUTH_OPTIONAL, LOCAL, true, false, 0},
    {POLICY_ACCESS_AUTH_OPTIONAL, LOCAL, true, true, 0},
    {POLICY_ACCESS_AUTH_REQUIRED, STRANGER, false, false, 530},
    {POLICY_ACCESS_AUTH_REQUIRED, STRANGER, false, true, 0},
    {POLICY_ACCESS_AUTH_REQUIRED, STRANGER, true, false, 0},
    {POLICY_ACCESS_AUTH_REQUIRED, STRANGER, true, true, 0},
    {POLICY_ACCESS_AUTH_REQUIRED, LISTED, false, false, 530},
    {POLICY_ACCESS_AUTH_REQUIRED, LISTED, false, true, 0},
    {POLICY_ACCESS_AUTH_REQUIRED, LISTED, true, false, 0},
    {POLICY_ACCESS_AUTH_REQUIRED, LISTED, true, true, 0},
    {POLICY_ACCESS_AUTH_REQUIRED, LOCAL, false, false, 530},
    {POLICY_ACCESS_AUTH_REQUIRED, LOCAL, false, true, 0},
    {POLICY_ACCESS_AUTH_REQUIRED, LOCAL, true, false, 0},
    {POLICY_ACCESS_AUTH_REQUIRED, LOCAL, true, true, 0},
};

/* --- who may send what, for somebody who may relay --- */

static const char *const own[] = {"@own.example", "me@other.example"};
static const char *const own_and_null[] = {"@own.example", "<>"};
static const char *const any[] = {"*"};
static const char *const any_and_null[] = {"<>", "*"};

static const struct policy_access_user users[] = {
    {NULL, 0}, {own, 2}, {own_and_null, 2}, {any, 1}, {any_and_null, 2}};

enum { USERS = sizeof(users) / sizeof(users[0]) };

static const struct {
    const char *from;
    bool may[USERS]; /* as `users` */
} senders[] = {
    {"", {false, false, true, false, true}},
    {"a@own.example", {true, true, true, true, true}},
    {"A@OWN.example", {true, true, true, true, true}},
    {"me@other.example", {true, true, false, true, true}},
    {"Me@other.example", {true, true, false, true, true}},
    {"m@other.example", {true, false, false, true, true}},
    {"mee@other.example", {true, false, false, true, true}},
    {"\"me\"@other.example", {true, false, false, true, true}},
    {"a@sub.own.example", {true, false, false, true, true}},
    {"a@notown.example", {true, false, false, true, true}},
    {"\"x@own.example\"@evil.example", {true, false, false, true, true}},
    {"a@[192.0.2.1]", {true, false, false, true, true}},
};

static const char *const domains[] = {"own.example", "other.example"};

/* Whether lists of domains are in force on either side, and what to. */
static const struct {
    bool limits_senders, limits_recipients;
    const char *to;
    bool may; /* with a sender of a listed domain, or none */
} rules_of_domains[] = {
    {false, false, NULL, true},
    {false, false, "x@far.example", true},
    {false, true, NULL, true},
    {false, true, "x@far.example", false},
    {false, true, "x@Other.example", true},
    {true, false, NULL, true},
    {true, false, "x@far.example", true},
    {true, true, NULL, true},
    {true, true, "x@far.example", false},
    {true, true, "x@own.example", true},
    {true, true, "x@[192.0.2.1]", false},
};

enum {
    RELAYING = sizeof(relaying) / sizeof(relaying[0]),
    SENDERS = sizeof(senders) / sizeof(senders[0]),
    DOMAINS = sizeof(rules_of_domains) / sizeof(rules_of_domains[0]),
};

static bool
is_of_listed_domain(const char *from)
{
    const char *at = strrchr(from, '@');

    return from[0] == '\0' || strcasecmp(at + 1, domains[0]) == 0 ||
           strcasecmp(at + 1, domains[1]) == 0;
}

/* The reply that is due; 0: it may. */
static int
due(size_t relay, size_t user, size_t sender, size_t domain)
{
    if (relaying[relay].code)
        return relaying[relay].code;
    if (relaying[relay].is_user && !senders[sender].may[user])
        return 553;
    if (rules_of_domains[domain].limits_senders &&
        !is_of_listed_domain(senders[sender].from))
        return 550;
    return rules_of_domains[domain].may ? 0 : 550;
}

static void
ask(size_t relay, size_t user, size_t sender, size_t domain)
{
    struct addr_net net;
    struct err err;
    struct addr peers[] = {[STRANGER] = peer("198.51.100.1"),
                           [LISTED] = peer("192.0.2.1"),
                           [LOCAL] = {.any.sa_family = AF_UNSPEC}};
    struct policy_access_client client = {
        .peer = &peers[relaying[relay].peer],
        .auth = relaying[relay].auth,
        .has_certificate = relaying[relay].has_certificate,
        .user = relaying[relay].is_user ? &users[user] : NULL,
    };
    bool limits_from = rules_of_domains[domain].limits_senders;
    bool limits_to = rules_of_domains[domain].limits_recipients;
    struct policy_access_rules r = {.networks = &net,
                                    .network_count = 1,
                                    .sender_domains = domains,
                                    .sender_domain_count = limits_from ? 2 : 0,
                                    .recipient_domains = domains,
                                    .recipient_domain_count =
                                        limits_to ? 2 : 0};
    const char *rcpt = rules_of_domains[domain].to;
    struct mail_address from = mailbox(senders[sender].from), to;
    struct mail_status why = {0};
    bool may;

    assert_true(addr_net_parse(slice_of("192.0.2.0/25"), &net, &err));
    if (rcpt)
        to = mailbox(rcpt);
    may = policy_access(&r, &client, &from, rcpt ? &to : NULL, &why);
    if (may != (due(relay, user, sender, domain) == 0) ||
        why.code != due(relay, user, sender, domain))
        fail_msg("client %zu, user %zu, <%s>, rules %zu: %d %s", relay, user,
                 senders[sender].from, domain, why.code, why.text);
}

/* Every client, with every user, from every sender, under every rule. */
static void
who_may_relay_what_is_this_table(void **state)
{
    (void)state;
    assert_int_equal(RELAYING, 3 * 3 * 2 * 2);
    for (size_t i = 0; i < RELAYING * USERS * SENDERS * DOMAINS; i++)
        ask(i % RELAYING, i / RELAYING % USERS, i / RELAYING / USERS % SENDERS,
            i / RELAYING / USERS / SENDERS);
}

/* Never an open relay by accident. */
static void
rules_that_say_nothing_let_nobody_relay(void **state)
{
    static const char *const peers[] = {"127.0.0.1", "::1",     "10.0.0.1",
                                        "192.0.2.1", "0.0.0.0", "::"};
    struct policy_access_rules r = {0};
    struct mail_address from = mailbox("a@example.com");

    (void)state;
    for (size_t i = 0; i < sizeof(peers) / sizeof(peers[0]); i++) {
        struct addr a = peer(peers[i]);
        struct policy_access_client client = {.peer = &a};
        struct mail_status why = {0};

        assert_false(policy_access(&r, &client, &from, NULL, &why));
        assert_true(mail_status_is_permanent(&why));
        assert_non_null(strstr(why.text, addr_text(&a, (char[64]){0})));
    }
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
networks_are_taken_by_the_bit(void **state)
{
    struct addr_net nets[2];
    struct policy_access_rules r = {.networks = nets, .network_count = 2};
    struct mail_address from = mailbox("a@example.com");
    struct err err = {0};

    (void)state;
    assert_true(addr_net_parse(slice_of("192.0.2.0/25"), &nets[0], &err));
    assert_true(addr_net_parse(slice_of("2001:db8::/32"), &nets[1], &err));
    for (size_t i = 0; i < sizeof(clients) / sizeof(clients[0]); i++) {
        struct addr a = peer(clients[i].client);
        struct policy_access_client client = {.peer = &a};
        struct mail_status why = {0};

        if (policy_access(&r, &client, &from, NULL, &why) != clients[i].may)
            fail_msg("%s", clients[i].client);
    }
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

/* --- authors --- */

static void
a_user_names_himself_as_the_author(void **state)
{
    (void)state;
    for (size_t u = 0; u < USERS; u++)
        for (size_t s = 0; s < SENDERS; s++) {
            struct mail_address author = mailbox(senders[s].from);
            struct mail_status why = {0};

            if (author.text[0] == '\0')
                continue;
            if (policy_access_author(&users[u], &author, &why) !=
                    senders[s].may[u] ||
                why.code != (senders[s].may[u] ? 0 : 550))
                fail_msg("user %zu, <%s>: %s", u, author.text, why.text);
        }
}

static void
a_user_with_a_list_is_limited_unless_it_has_the_star(void **state)
{
    static const bool limited[USERS] = {false, true, true, false, false};

    (void)state;
    for (size_t u = 0; u < USERS; u++)
        assert_int_equal(policy_access_is_limited(&users[u]), limited[u]);
}

/* As a sender by the rules, as a recipient, and as a user's own sender. */
static void
domains_are_exact(void **state)
{
    static const char *const two[] = {"example.com", "xn--bcher-kva.example"};
    static const char *const patterns[] = {"@example.com",
                                           "@xn--bcher-kva.example"};
    struct policy_access_rules from_two = {.sender_domains = two,
                                           .sender_domain_count = 2};
    struct policy_access_rules to_two = {.recipient_domains = two,
                                         .recipient_domain_count = 2};
    struct policy_access_rules none = {0};
    struct policy_access_user user = {patterns, 2};
    struct addr local = {.any.sa_family = AF_UNSPEC};
    struct policy_access_client client = {.peer = &local};
    struct policy_access_client named = {.peer = &local, .user = &user};
    struct mail_address other = mailbox("x@far.example");

    (void)state;
    for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
        struct mail_address a = mailbox(addresses[i].address);
        struct mail_status why = {0};
        bool may = addresses[i].may;

        if (policy_access(&from_two, &client, &a, &other, &why) != may ||
            policy_access(&to_two, &client, &other, &a, &why) != may ||
            policy_access(&none, &named, &a, &other, &why) != may)
            fail_msg("%s", addresses[i].address);
    }
}

static void
a_refusal_names_the_domain_and_the_rule(void **state)
{
    static const char *const one[] = {"example.com"};
    struct policy_access_rules r = {.sender_domains = one,
                                    .sender_domain_count = 1};
    struct addr local = {.any.sa_family = AF_UNSPEC};
    struct policy_access_client client = {.peer = &local};
    struct mail_address a = mailbox("a@evil.example");
    struct mail_status why = {0};

    (void)state;
    assert_false(policy_access(&r, &client, &a, NULL, &why));
    assert_non_null(strstr(why.text, "evil.example"));
    assert_non_null(strstr(why.text, "access.sender_domains"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_may_relay_what_is_this_table),
        cmocka_unit_test(rules_that_say_nothing_let_nobody_relay),
        cmocka_unit_test(networks_are_taken_by_the_bit),
        cmocka_unit_test(domains_are_exact),
        cmocka_unit_test(a_user_names_himself_as_the_author),
        cmocka_unit_test(a_user_with_a_list_is_limited_unless_it_has_the_star),
        cmocka_unit_test(a_refusal_names_the_domain_and_the_rule),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
