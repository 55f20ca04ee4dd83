#include "relay/net/tls_proof.h"

#include "relay/net/tls_context.h"

#include <assert.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    /* The name is a DNS-ID or nothing, and "f*.example.com" is no wildcard:
     * RFC 6125 section 6.4.3 and 6.4.4, RFC 8461 section 4.1. */
    HOST_FLAGS = X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
                 X509_CHECK_FLAG_NEVER_CHECK_SUBJECT,

    /* Keys and signatures of at least 112 bits, also where the handshake
     * itself takes what it gets. */
    AUTH_LEVEL = 2,
    OPPORTUNISTIC_LEVEL = 1,

    USAGE_DANE_TA = 2, /* RFC 6698 section 2.1.1, RFC 7218 section 2.1 */
    USAGE_DANE_EE = 3,
};

/* Replaces what a terminal or a log could stumble over. */
static void
copy_printable(char *to, size_t size, const char *from, size_t len)
{
    size_t n = len < size - 1 ? len : size - 1;

    for (size_t i = 0; i < n; i++)
        to[i] = from[i] >= ' ' && from[i] <= '~' ? from[i] : '?';
    to[n] = '\0';
}

static void
copy_name(char *to, size_t size, const X509_NAME *name)
{
    BIO *text = BIO_new(BIO_s_mem());
    char *p;
    long len;

    net_tls_need(text);
    (void)X509_NAME_print_ex(text, name, 0, XN_FLAG_RFC2253);
    len = BIO_get_mem_data(text, &p);
    copy_printable(to, size, p, len > 0 ? (size_t)len : 0);
    BIO_free(text);
}

/* The first alternative name of a type that is a text. */
static bool
copy_alternative(char *to, size_t size, const GENERAL_NAMES *names, int type)
{
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);

        if (name->type == type) {
            const ASN1_IA5STRING *id = name->d.ia5;

            copy_printable(to, size, (const char *)ASN1_STRING_get0_data(id),
                           (size_t)ASN1_STRING_length(id));
            return true;
        }
    }
    return false;
}

static void
copy_subject(const struct net_tls_proof *p, char *to, size_t size, X509 *leaf)
{
    GENERAL_NAMES *names =
        X509_get_ext_d2i(leaf, NID_subject_alt_name, NULL, NULL);

    if (!(p->is_of_client && copy_alternative(to, size, names, GEN_EMAIL)) &&
        !copy_alternative(to, size, names, GEN_DNS))
        copy_name(to, size, X509_get_subject_name(leaf));
    GENERAL_NAMES_free(names);
}

static int64_t
unix_time(const ASN1_TIME *t)
{
    struct tm tm = {0};

    return ASN1_TIME_to_tm(t, &tm) == 1 ? (int64_t)timegm(&tm) : 0;
}

static enum net_tls_verdict
verdict_of(int error)
{
    switch (error) {
    case X509_V_OK:
        return NET_TLS_VERIFIED;
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID:
        return NET_TLS_EXPIRED;
    case X509_V_ERR_HOSTNAME_MISMATCH:
        return NET_TLS_WRONG_NAME;
    default: /* an int, not an enum */
        return NET_TLS_NOT_TRUSTED;
    }
}

/* OpenSSL takes ".example.com" for "any host below"; a reference name is
 * exactly one host. */
static bool
is_reference(const char *name)
{
    return name && name[0] != '\0' && name[0] != '.' && !strchr(name, '*');
}

static bool
add_names(X509_VERIFY_PARAM *param, const struct net_tls_setup *setup)
{
    bool has_any = false;

    for (size_t i = 0; i < NET_TLS_NAMES_MAX; i++)
        if (is_reference(setup->names[i]) &&
            X509_VERIFY_PARAM_add1_host(param, setup->names[i], 0) == 1)
            has_any = true;
    return has_any;
}

/* PKIX-TA and PKIX-EE are unusable for SMTP (RFC 7672 section 3.1.3), and
 * OpenSSL must not get them: CVE-2026-28387. */
static bool
add_records(SSL *ssl, const struct net_tls_setup *setup)
{
    bool has_any = false;

    for (size_t i = 0; i < setup->tlsa_count; i++) {
        const struct net_tls_tlsa *t = &setup->tlsa[i];

        if (t->usage != USAGE_DANE_TA && t->usage != USAGE_DANE_EE)
            continue;
        if (SSL_dane_tlsa_add(ssl, t->usage, t->selector, t->matching, t->data,
                              t->len) > 0)
            has_any = true;
    }
    return has_any;
}

static bool
prepare_dane(SSL *ssl, const struct net_tls_setup *setup)
{
    if (!setup->dane_base || SSL_dane_enable(ssl, setup->dane_base) <= 0)
        return false;
    /* RFC 7672 section 3.1.1: neither name nor dates count for DANE-EE. */
    SSL_dane_set_flags(ssl, DANE_FLAG_NO_DANE_EE_NAMECHECKS);
    (void)add_names(SSL_get0_param(ssl), setup);
    return add_records(ssl, setup);
}

static void
prepare_pins(struct net_tls_proof *p, const struct net_tls_setup *setup)
{
    assert(setup->fingerprint_count <= NET_TLS_FINGERPRINTS_MAX);
    for (size_t i = 0; i < setup->fingerprint_count; i++)
        p->pins[p->pin_count++] = setup->fingerprints[i];
}

void
net_tls_proof_prepare(struct net_tls_proof *p, SSL *ssl,
                      const struct net_tls_setup *setup)
{
    X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
    int mode = SSL_VERIFY_NONE;

    p->check = setup->check;
    p->chain = setup->chain;
    if (setup->pkix_name)
        (void)snprintf(p->pkix_name, sizeof(p->pkix_name), "%s",
                       setup->pkix_name);
    X509_VERIFY_PARAM_set_hostflags(param, HOST_FLAGS);
    switch (setup->check) {
    case NET_TLS_CHECK_NONE:
        SSL_set_security_level(ssl, OPPORTUNISTIC_LEVEL);
        break;
    case NET_TLS_CHECK_OBSERVE:
        SSL_set_security_level(ssl, OPPORTUNISTIC_LEVEL);
        p->is_hopeless = !add_names(param, setup);
        break;
    case NET_TLS_CHECK_PKIX:
        mode = SSL_VERIFY_PEER;
        p->is_hopeless = !add_names(param, setup);
        break;
    case NET_TLS_CHECK_DANE:
        mode = SSL_VERIFY_PEER;
        p->is_hopeless = !prepare_dane(ssl, setup);
        break;
    case NET_TLS_CHECK_OBSERVE_DANE:
        SSL_set_security_level(ssl, OPPORTUNISTIC_LEVEL);
        p->is_hopeless = !prepare_dane(ssl, setup);
        break;
    }
    prepare_pins(p, setup);
    SSL_set_verify(ssl, p->pin_count ? SSL_VERIFY_PEER : mode, NULL);
}

void
net_tls_proof_prepare_server(struct net_tls_proof *p, SSL *ssl,
                             const struct net_tls_setup *setup)
{
    int mode = SSL_get_verify_mode(ssl);

    p->is_of_client = true;
    p->chain = setup->chain;
    p->check = mode == SSL_VERIFY_NONE   ? NET_TLS_CHECK_NONE
               : mode == SSL_VERIFY_PEER ? NET_TLS_CHECK_OBSERVE
                                         : NET_TLS_CHECK_PKIX;
}

bool
net_tls_proof_is_wanted(const struct net_tls_proof *p)
{
    return !p->is_of_client || p->check == NET_TLS_CHECK_PKIX;
}

static void
note_matched(struct net_tls_proof *p, X509_STORE_CTX *store)
{
    X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(store);
    X509 *leaf = X509_STORE_CTX_get0_cert(store);
    const char *host;

    for (int i = 0; (host = X509_VERIFY_PARAM_get0_host(param, i)); i++)
        if (X509_check_host(leaf, host, 0, HOST_FLAGS, NULL) == 1) {
            copy_printable(p->facts.matched, sizeof(p->facts.matched), host,
                           strlen(host));
            return;
        }
}

static void
refuse(struct net_tls_proof *p, enum net_tls_verdict verdict, const char *why)
{
    p->facts.verdict = verdict;
    (void)snprintf(p->facts.why, sizeof(p->facts.why), "%s", why);
}

static bool
is_dane(const struct net_tls_proof *p)
{
    return p->check == NET_TLS_CHECK_DANE ||
           p->check == NET_TLS_CHECK_OBSERVE_DANE;
}

static void
judge(struct net_tls_proof *p, X509_STORE_CTX *store)
{
    bool is_good = X509_verify_cert(store) == 1;
    int error = X509_STORE_CTX_get_error(store);

    if (is_good && error == X509_V_OK && !p->is_hopeless) {
        p->facts.verdict = NET_TLS_VERIFIED;
        note_matched(p, store);
        return;
    }
    if (error == X509_V_OK && !is_good)
        error = X509_V_ERR_UNSPECIFIED;
    if (error == X509_V_OK)
        error = is_dane(p) ? X509_V_ERR_DANE_NO_MATCH
                           : X509_V_ERR_HOSTNAME_MISMATCH;
    refuse(p, verdict_of(error), X509_verify_cert_error_string(error));
    X509_STORE_CTX_set_error(store, error); /* the alert follows from it */
}

/* What WebPKI would say of a certificate that TLSA records are asked about:
 * under MTA-STS, which DANE stands above, somebody wants to know. */
static void
look_as_pkix(struct net_tls_proof *p, X509_STORE_CTX *store)
{
    const SSL *ssl =
        X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    X509_STORE *anchors = SSL_CTX_get_cert_store(SSL_get_SSL_CTX(ssl));
    X509_STORE_CTX *own = X509_STORE_CTX_new();
    X509_VERIFY_PARAM *param;
    int error = X509_V_ERR_HOSTNAME_MISMATCH;

    net_tls_need(own);
    if (X509_STORE_CTX_init(own, anchors, X509_STORE_CTX_get0_cert(store),
                            X509_STORE_CTX_get0_untrusted(store)) != 1)
        abort();
    (void)X509_STORE_CTX_set_default(own, "ssl_server");
    param = X509_STORE_CTX_get0_param(own);
    X509_VERIFY_PARAM_set_hostflags(param, HOST_FLAGS);
    X509_VERIFY_PARAM_set_auth_level(param, AUTH_LEVEL);
    if (is_reference(p->pkix_name) &&
        X509_VERIFY_PARAM_add1_host(param, p->pkix_name, 0) == 1) {
        bool is_good = X509_verify_cert(own) == 1;

        error = X509_STORE_CTX_get_error(own);
        if (error == X509_V_OK && !is_good)
            error = X509_V_ERR_UNSPECIFIED;
    }
    X509_STORE_CTX_free(own);
    p->facts.pkix_verdict = verdict_of(error);
    if (error != X509_V_OK)
        (void)snprintf(p->facts.pkix_why, sizeof(p->facts.pkix_why), "%s",
                       X509_verify_cert_error_string(error));
}

static bool
has_pin(const struct net_tls_fingerprint *pin, X509 *leaf)
{
    unsigned char sum[EVP_MAX_MD_SIZE];
    unsigned len = 0;

    if (pin->of_key) {
        unsigned char *der = NULL;
        int n = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(leaf), &der);

        if (n <= 0 ||
            EVP_Digest(der, (size_t)n, sum, &len, EVP_sha256(), NULL) != 1)
            len = 0;
        OPENSSL_free(der);
    } else if (X509_digest(leaf, EVP_sha256(), sum, &len) != 1) {
        len = 0;
    }
    return len == NET_TLS_FINGERPRINT_LEN &&
           memcmp(sum, pin->sha256, NET_TLS_FINGERPRINT_LEN) == 0;
}

static void
look_for_pin(struct net_tls_proof *p, X509_STORE_CTX *store)
{
    X509 *leaf = X509_STORE_CTX_get0_cert(store);

    for (size_t i = 0; i < p->pin_count; i++)
        if (has_pin(&p->pins[i], leaf))
            return;
    if (p->pin_count == 0)
        return;
    p->facts.is_stranger = true;
    refuse(p, NET_TLS_NOT_TRUSTED, "the certificate is none of those pinned");
    X509_STORE_CTX_set_error(store, X509_V_ERR_CERT_REJECTED);
}

static void
show_chain(struct net_tls_chain *chain, X509_STORE_CTX *store)
{
    const STACK_OF(X509) *sent = X509_STORE_CTX_get0_untrusted(store);

    *chain = (struct net_tls_chain){0};
    for (int i = 0; i < sk_X509_num(sent) && i < NET_TLS_DEPTH_MAX; i++) {
        const X509 *from = sk_X509_value(sent, i);
        struct net_tls_certificate *to = &chain->certificates[chain->count++];

        copy_name(to->subject, sizeof(to->subject),
                  X509_get_subject_name(from));
        copy_name(to->issuer, sizeof(to->issuer), X509_get_issuer_name(from));
        to->not_before = unix_time(X509_get0_notBefore(from));
        to->not_after = unix_time(X509_get0_notAfter(from));
    }
}

bool
net_tls_proof_look(struct net_tls_proof *p, X509_STORE_CTX *store)
{
    X509 *leaf = X509_STORE_CTX_get0_cert(store);

    p->has_looked = true;
    p->facts = (struct net_tls_facts){.verdict = NET_TLS_UNCHECKED};
    copy_subject(p, p->facts.subject, sizeof(p->facts.subject), leaf);
    copy_name(p->facts.issuer, sizeof(p->facts.issuer),
              X509_get_issuer_name(leaf));
    p->facts.not_after = unix_time(X509_get0_notAfter(leaf));
    if (p->chain)
        show_chain(p->chain, store);
    if (p->check == NET_TLS_CHECK_NONE) {
        look_for_pin(p, store);
        return net_tls_proof_is_met(p);
    }
    X509_VERIFY_PARAM_set_auth_level(X509_STORE_CTX_get0_param(store),
                                     AUTH_LEVEL);
    judge(p, store);
    if (p->pkix_name[0] && is_dane(p))
        look_as_pkix(p, store);
    look_for_pin(p, store);
    return net_tls_proof_is_met(p);
}

bool
net_tls_proof_is_met(const struct net_tls_proof *p)
{
    return !p->facts.is_stranger && (p->check == NET_TLS_CHECK_NONE ||
                                     p->check == NET_TLS_CHECK_OBSERVE ||
                                     p->check == NET_TLS_CHECK_OBSERVE_DANE ||
                                     p->facts.verdict == NET_TLS_VERIFIED);
}

void
net_tls_proof_note_record(struct net_tls_proof *p, SSL *ssl)
{
    const unsigned char *data = NULL;
    struct net_tls_chain *chain = p->chain;
    size_t len = 0;

    if (!chain || !is_dane(p) ||
        SSL_get0_dane_tlsa(ssl, &chain->tlsa.usage, &chain->tlsa.selector,
                           &chain->tlsa.matching, &data, &len) < 0 ||
        !data)
        return;
    chain->tlsa.is_found = true;
    chain->tlsa.len =
        len < sizeof(chain->tlsa.data) ? len : sizeof(chain->tlsa.data);
    memcpy(chain->tlsa.data, data, chain->tlsa.len);
}
