#include "relay/net/tls_server.h"

#include "relay/net/tls_context.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "relay/net/certificates.h"
#include "relay/net/tls_pair.h"

static struct authority ca, stranger;

static const char *
path(const char *file)
{
    return authority_path(&ca, file);
}

static int
make(void **state)
{
    static const struct {
        const char *file;
        struct wish wish;
    } leaves[] = {
        {"one", {.common_name = "one", .names = "DNS:one.example.com"}},
        {"two", {.common_name = "two", .names = "DNS:two.example.com"}},
        {"star", {.common_name = "star", .names = "DNS:*.example.com"}},
        {"alice",
         {.common_name = "alice",
          .names = "DNS:laptop.example.com,email:alice@example.com"}},
        {"host", {.common_name = "host", .names = "DNS:app.example.com"}},
        {"plain", {.common_name = "plain"}},
        {"old",
         {.common_name = "old", .from_s = -2L * DAY_S, .until_s = -1L * DAY_S}},
    };

    (void)state;
    authority_open(&ca);
    authority_open(&stranger);
    for (size_t i = 0; i < sizeof(leaves) / sizeof(leaves[0]); i++)
        authority_issue(&ca, leaves[i].file, &leaves[i].wish);
    authority_issue(
        &stranger, "mallory",
        &(struct wish){.common_name = "m", .names = "email:alice@example.com"});
    return 0;
}

static int
clear(void **state)
{
    (void)state;
    authority_close(&ca);
    authority_close(&stranger);
    return 0;
}

static struct net_tls_identity *
identity(struct authority *a, const char *file)
{
    char certificate[PATH_SIZE], key[PATH_SIZE];
    struct net_tls_identity *id;
    struct err err;

    (void)snprintf(certificate, sizeof(certificate), "%s/%s.pem", a->dir, file);
    (void)snprintf(key, sizeof(key), "%s/%s.key", a->dir, file);
    id = net_tls_identity_load(certificate, key, &err);
    assert_non_null(id);
    return id;
}

/* `files` ends with NULL. */
static struct net_tls *
server(const char *const *files, struct net_tls_server_setup setup)
{
    struct net_tls_identities ids = {0};
    struct net_tls *t;
    struct err err;

    for (; *files; files++)
        net_tls_identities_add(&ids, identity(&ca, *files));
    setup.identities = &ids;
    if (!setup.name)
        setup.name = "test";
    t = net_tls_server(&setup, &err);
    assert_non_null(t);
    net_tls_identities_done(&ids);
    return t;
}

static struct net_tls *
client(void)
{
    struct err err;
    struct net_tls *t = net_tls_client(path("ca.pem"), &err);

    assert_non_null(t);
    return t;
}

/* One that shows a certificate itself; NULL: none. */
static struct net_tls *
client_with(struct authority *a, const char *file)
{
    struct net_tls *t = client();
    char certificate[PATH_SIZE], key[PATH_SIZE];

    if (!file)
        return t;
    (void)snprintf(certificate, sizeof(certificate), "%s/%s.pem", a->dir, file);
    (void)snprintf(key, sizeof(key), "%s/%s.key", a->dir, file);
    assert_int_equal(SSL_CTX_use_certificate_chain_file(t->ssl, certificate),
                     1);
    assert_int_equal(SSL_CTX_use_PrivateKey_file(t->ssl, key, SSL_FILETYPE_PEM),
                     1);
    return t;
}

static const struct net_tls_facts *
seen(const struct pair *p)
{
    return net_tls_stream_facts(p->server.stream);
}

/* --- names --- */

static void
the_name_that_is_asked_for_says_which_certificate_is_shown(void **state)
{
    static const char *const all[] = {"one", "star", "two", NULL};
    static const struct {
        const char *sni, *subject;
    } rows[] = {
        {NULL, "one.example.com"},
        {"one.example.com", "one.example.com"},
        {"two.example.com", "two.example.com"}, /* before the wildcard */
        {"TWO.example.COM", "two.example.com"},
        {"other.example.com", "*.example.com"},
        {"a.b.example.com", "one.example.com"},
        {"example.com", "one.example.com"},
        {".example.com", "one.example.com"},
        {"elsewhere.example.org", "one.example.com"},
    };
    struct net_tls *c = client();
    struct net_tls *s = server(all, (struct net_tls_server_setup){0});

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct net_tls_setup setup = {.tls = c, .sni = rows[i].sni};
        struct pair p;

        meet(&p, &setup, s);
        assert_int_equal(p.client.step, NET_TLS_SECURED);
        assert_string_equal(facts(&p)->subject, rows[i].subject);
        part(&p);
    }
    net_tls_free(&c);
    net_tls_free(&s);
}

static void
a_handshake_goes_on_with_the_settings_that_it_began_with(void **state)
{
    static const char *const all[] = {"one", "two", NULL};
    struct net_tls *c = client();
    struct net_tls *s = server(all, (struct net_tls_server_setup){0});
    struct net_tls_setup mine = {.tls = c, .sni = "two.example.com"};
    struct net_tls_setup theirs = {.tls = s, .is_server = true};
    struct slice nothing = {0};
    struct pair p = {0};

    (void)state;
    p.client.stream = net_tls_stream_new(&mine, &p.client.out);
    p.server.stream = net_tls_stream_new(&theirs, &p.server.out);
    net_tls_free(&s); /* loaded anew */
    shake(&p.client, &nothing);
    for (int i = 0; i < 6; i++) {
        carry(&p.client, &p.server, SIZE_MAX);
        carry(&p.server, &p.client, SIZE_MAX);
    }
    assert_int_equal(p.client.step, NET_TLS_SECURED);
    assert_string_equal(facts(&p)->subject, "two.example.com");
    part(&p);
    net_tls_free(&c);
}

/* --- clients --- */

static void
a_client_is_known_by_its_certificate(void **state)
{
    static const char *const one[] = {"one", NULL};
    static const struct {
        struct authority *of;
        const char *file;
        enum net_tls_verdict verdict;
        const char *subject;
    } rows[] = {
        {&ca, "alice", NET_TLS_VERIFIED, "alice@example.com"},
        {&ca, "host", NET_TLS_VERIFIED, "app.example.com"},
        {&ca, "plain", NET_TLS_VERIFIED, "CN=plain"},
        {&ca, "old", NET_TLS_EXPIRED, "CN=old"},
        {&stranger, "mallory", NET_TLS_NOT_TRUSTED, "alice@example.com"},
        {&ca, NULL, NET_TLS_UNCHECKED, ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        for (int required = 0; required < 2; required++) {
            bool is_good = rows[i].verdict == NET_TLS_VERIFIED;
            struct net_tls *c = client_with(rows[i].of, rows[i].file);
            struct net_tls_setup setup = {.tls = c};
            struct net_tls *s =
                server(one, (struct net_tls_server_setup){
                                .client_ca = path("ca.pem"),
                                .check = required ? NET_TLS_CHECK_PKIX
                                                  : NET_TLS_CHECK_OBSERVE});
            struct pair p;

            meet(&p, &setup, s);
            assert_int_equal(p.server.step, !required || is_good
                                                ? NET_TLS_SECURED
                                                : NET_TLS_REFUSED);
            if (p.server.step == NET_TLS_SECURED) {
                assert_int_equal(seen(&p)->verdict, rows[i].verdict);
                assert_string_equal(seen(&p)->subject, rows[i].subject);
            }
            part(&p);
            net_tls_free(&c);
            net_tls_free(&s);
        }
}

static void
who_is_not_asked_shows_nothing(void **state)
{
    static const char *const one[] = {"one", NULL};
    struct net_tls *c = client_with(&ca, "alice");
    struct net_tls *s = server(one, (struct net_tls_server_setup){0});
    struct net_tls_setup setup = {.tls = c};
    struct pair p;

    (void)state;
    meet(&p, &setup, s);
    assert_int_equal(p.server.step, NET_TLS_SECURED);
    assert_int_equal(seen(&p)->verdict, NET_TLS_UNCHECKED);
    assert_string_equal(seen(&p)->subject, "");
    part(&p);
    net_tls_free(&c);
    net_tls_free(&s);
}

/* --- versions --- */

static bool
shakes(struct net_tls *s, int version, const char *ciphers)
{
    struct net_tls *c = client();
    struct net_tls_setup setup = {.tls = c};
    struct pair p;
    bool ok;

    SSL_CTX_set_min_proto_version(c->ssl, version);
    SSL_CTX_set_max_proto_version(c->ssl, version);
    assert_int_equal(SSL_CTX_set_cipher_list(c->ssl, ciphers), 1);
    SSL_CTX_set_security_level(c->ssl, 0);
    meet(&p, &setup, s);
    ok = p.server.step == NET_TLS_SECURED;
    part(&p);
    net_tls_free(&c);
    return ok;
}

/* RFC 9325 section 3.1.1 and 4.1. */
static void
what_is_old_or_weak_is_refused(void **state)
{
    static const char *const one[] = {"one", NULL};
    static const char all[] = "ALL:@SECLEVEL=0";
    struct net_tls *s = server(one, (struct net_tls_server_setup){0});

    (void)state;
    assert_true(shakes(s, TLS1_3_VERSION, all));
    assert_true(shakes(s, TLS1_2_VERSION, all));
    assert_true(shakes(s, TLS1_2_VERSION, "ECDHE+AES+SHA256"));
    assert_false(shakes(s, TLS1_1_VERSION, all));
    assert_false(shakes(s, TLS1_VERSION, all));
    assert_false(shakes(s, TLS1_2_VERSION, "kRSA:DHE:@SECLEVEL=0"));
    assert_false(shakes(s, TLS1_2_VERSION, "aNULL:@SECLEVEL=0"));
    net_tls_free(&s);

    s = server(one, (struct net_tls_server_setup){.min_version = "1.3"});
    assert_true(shakes(s, TLS1_3_VERSION, all));
    assert_false(shakes(s, TLS1_2_VERSION, all));
    net_tls_free(&s);
}

/* --- sessions --- */

static bool
is_resumed(struct net_tls *c, struct net_tls *s)
{
    struct net_tls_setup setup = {.tls = c,
                                  .check = NET_TLS_CHECK_PKIX,
                                  .names = {"one.example.com"},
                                  .session_key = "key"};
    struct pair p;
    bool resumed;

    meet(&p, &setup, s);
    assert_int_equal(p.server.step, NET_TLS_SECURED);
    resumed = seen(&p)->resumed;
    net_tls_stream_finish(p.client.stream);
    part(&p);
    return resumed;
}

static void
a_session_goes_on_with_another_worker_and_at_no_other_listener(void **state)
{
    static const char *const one[] = {"one", NULL};
    struct net_tls *c = client();
    struct net_tls *first =
        server(one, (struct net_tls_server_setup){.name = "a"});
    struct net_tls *second =
        server(one, (struct net_tls_server_setup){.name = "a", .like = first});
    struct net_tls *other =
        server(one, (struct net_tls_server_setup){.name = "b", .like = first});

    (void)state;
    assert_false(is_resumed(c, first));
    assert_true(is_resumed(c, second));
    assert_true(is_resumed(c, first));
    assert_false(is_resumed(c, other));
    net_tls_free(&c);
    net_tls_free(&first);
    net_tls_free(&second);
    net_tls_free(&other);
}

static void
a_certificate_is_shown_anew_each_time(void **state)
{
    static const char *const one[] = {"one", NULL};
    struct net_tls *c = client_with(&ca, "alice");
    struct net_tls *s =
        server(one, (struct net_tls_server_setup){.client_ca = path("ca.pem"),
                                                  .check = NET_TLS_CHECK_PKIX});

    (void)state;
    assert_false(is_resumed(c, s));
    assert_false(is_resumed(c, s));
    net_tls_free(&c);
    net_tls_free(&s);
}

/* --- files --- */

static void
half_of_a_chain_is_no_chain(void **state)
{
    char text[8192];
    struct err err;
    FILE *f = fopen(path("one.pem"), "r");
    size_t len = fread(text, 1, sizeof(text), f);

    (void)state;
    (void)fclose(f);
    for (size_t cut = 0; cut + 2 < len; cut += 7) {
        f = fopen(path("half.pem"), "w");
        (void)fwrite(text, 1, len, f);
        (void)fwrite(text, 1, cut, f);
        (void)fclose(f);
        if (cut > 0 && cut < 28)
            continue; /* nothing that begins a certificate */
        if (cut == 0) {
            struct net_tls_identity *id =
                net_tls_identity_load(path("half.pem"), path("one.key"), &err);

            assert_non_null(id);
            net_tls_identity_free(&id);
            continue;
        }
        assert_null(
            net_tls_identity_load(path("half.pem"), path("one.key"), &err));
        assert_non_null(strstr(err.text, "half.pem: "));
    }
}

static void
trust_anchors_that_are_none_name_their_file(void **state)
{
    static const char *const files[] = {"none.pem", "one.key"};
    struct net_tls_identities ids = {0};
    struct err err;

    (void)state;
    net_tls_identities_add(&ids, identity(&ca, "one"));
    for (size_t i = 0; i < 2; i++) {
        struct net_tls_server_setup setup = {.identities = &ids,
                                             .name = "x",
                                             .client_ca = path(files[i]),
                                             .check = NET_TLS_CHECK_PKIX};

        assert_null(net_tls_server(&setup, &err));
        assert_non_null(strstr(err.text, files[i]));
    }
    net_tls_identities_done(&ids);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            the_name_that_is_asked_for_says_which_certificate_is_shown),
        cmocka_unit_test(
            a_handshake_goes_on_with_the_settings_that_it_began_with),
        cmocka_unit_test(a_client_is_known_by_its_certificate),
        cmocka_unit_test(who_is_not_asked_shows_nothing),
        cmocka_unit_test(what_is_old_or_weak_is_refused),
        cmocka_unit_test(
            a_session_goes_on_with_another_worker_and_at_no_other_listener),
        cmocka_unit_test(a_certificate_is_shown_anew_each_time),
        cmocka_unit_test(half_of_a_chain_is_no_chain),
        cmocka_unit_test(trust_anchors_that_are_none_name_their_file),
    };

    return cmocka_run_group_tests(tests, make, clear);
}
