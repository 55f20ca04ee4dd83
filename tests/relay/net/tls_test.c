#include "relay/net/tls.h"
#include "relay/net/tls_context.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "relay/net/certificates.h"

static struct authority ca;

static const char *
path(const char *file)
{
    return authority_path(&ca, file);
}

static int
make(void **state)
{
    (void)state;
    authority_open(&ca);
    authority_issue(&ca, "one", &(struct wish){.common_name = "one"});
    authority_issue(&ca, "two", &(struct wish){.common_name = "two"});
    return 0;
}

static int
clear(void **state)
{
    (void)state;
    authority_close(&ca);
    return 0;
}

static void
a_chain_and_its_key_make_a_server(void **state)
{
    struct err err;
    struct net_tls *t = make_server(path("one.pem"), path("one.key"),
                                    (struct net_tls_server_setup){0}, &err);

    (void)state;
    assert_non_null(t);
    net_tls_free(&t);
    assert_null(t);
    net_tls_free(&t);
}

static void
what_does_not_fit_or_exist_names_its_file(void **state)
{
    struct {
        const char *certificate, *key, *named;
    } cases[] = {
        {"one.pem", "two.key", "two.key: not the key of the certificate"},
        {"none.pem", "one.key", "none.pem: "},
        {"one.pem", "none.key", "none.key: "},
        {"one.key", "one.key", "one.key: no certificate in it"},
        {"one.pem", "one.pem", "one.pem: "},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct err err = {0};

        assert_null(make_server(path(cases[i].certificate), path(cases[i].key),
                                (struct net_tls_server_setup){0}, &err));
        assert_int_equal(err.kind, ERR_INPUT);
        assert_non_null(strstr(err.text, cases[i].named));
    }
}

static void
a_key_behind_a_password_is_an_error_and_asks_nobody(void **state)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    FILE *f = fopen(path("locked.key"), "w");
    struct err err = {0};

    (void)state;
    PEM_write_PrivateKey(f, key, EVP_aes_128_cbc(), NULL, 0, NULL,
                         (char *)(uintptr_t) "secret");
    fclose(f);
    EVP_PKEY_free(key);
    assert_null(make_server(path("one.pem"), path("locked.key"),
                            (struct net_tls_server_setup){0}, &err));
    assert_non_null(strstr(err.text, "locked.key"));
    assert_null(strstr(err.text, "secret"));
}

static void
a_client_may_have_trust_anchors_of_its_own(void **state)
{
    const char *none[] = {NULL, ""};
    struct err err = {0};
    struct net_tls *t;

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        t = net_tls_client(none[i], &err);
        assert_non_null(t);
        net_tls_free(&t);
    }
    t = net_tls_client(path("ca.pem"), &err);
    assert_non_null(t);
    net_tls_free(&t);
    assert_null(net_tls_client(path("none.pem"), &err));
    assert_non_null(strstr(err.text, "none.pem"));
    assert_null(net_tls_client_of(path("none.pem"), &err));
    assert_non_null(strstr(err.text, "none.pem"));
    assert_null(net_tls_client(path("one.key"), &err));
    assert_non_null(strstr(err.text, "one.key"));
}

static void
trust_is_shared_and_outlives_who_had_it_first(void **state)
{
    struct err err = {0};
    struct net_tls *first = net_tls_client(path("ca.pem"), &err);
    struct net_tls *second;
    const X509_STORE *anchors;

    (void)state;
    assert_non_null(first);
    anchors = SSL_CTX_get_cert_store(first->ssl);
    second = net_tls_client_like(first);
    net_tls_free(&first);
    assert_ptr_equal(SSL_CTX_get_cert_store(second->ssl), anchors);
    assert_true(sk_X509_OBJECT_num(X509_STORE_get0_objects(anchors)) > 0);
    net_tls_free(&second);
}

static void
every_verdict_has_a_name(void **state)
{
    (void)state;
    for (int v = NET_TLS_UNCHECKED; v <= NET_TLS_BROKEN; v++)
        assert_non_null(net_tls_verdict_name((enum net_tls_verdict)v));
    assert_string_equal(net_tls_verdict_name(NET_TLS_VERIFIED), "verified");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_chain_and_its_key_make_a_server),
        cmocka_unit_test(what_does_not_fit_or_exist_names_its_file),
        cmocka_unit_test(a_key_behind_a_password_is_an_error_and_asks_nobody),
        cmocka_unit_test(a_client_may_have_trust_anchors_of_its_own),
        cmocka_unit_test(trust_is_shared_and_outlives_who_had_it_first),
        cmocka_unit_test(every_verdict_has_a_name),
    };

    return cmocka_run_group_tests(tests, make, clear);
}
