/*
 * tests/relay/net/certificates - makes certificates of all kinds in a
 * temporary folder, so that no test carries a key that expires.
 */
#ifndef TESTS_RELAY_NET_CERTIFICATES_H
#define TESTS_RELAY_NET_CERTIFICATES_H

#include "relay/net/tls_server.h"

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { PATH_SIZE = 96, DAY_S = 24 * 60 * 60 };

struct authority {
    char dir[32];
    EVP_PKEY *key;
    X509 *certificate; /* NULL until the first is made: then it signs itself */
    char made[20][PATH_SIZE];
    int count;
};

struct wish {
    const char *common_name;
    const char *names;    /* "DNS:mail.example.com,DNS:..."; NULL: none */
    long from_s, until_s; /* from now; both 0: a day back and a day ahead */
    bool is_authority;
    bool signs_itself;
};

static inline const char *
authority_path(struct authority *a, const char *file)
{
    char *path = a->made[a->count++ % 20];
    char dir[sizeof(a->dir)]; /* gcc takes the two members for one */

    memcpy(dir, a->dir, sizeof(dir));
    (void)snprintf(path, PATH_SIZE, "%s/%s", dir, file);
    return path;
}

static inline void
add_extension(X509 *x, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509_EXTENSION *e;

    X509V3_set_ctx(&ctx, x, x, NULL, NULL, 0);
    e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    if (!e)
        abort();
    X509_add_ext(x, e, -1);
    X509_EXTENSION_free(e);
}

static inline X509 *
make_certificate(struct authority *a, const struct wish *w, EVP_PKEY *key)
{
    static long serial = 1;
    X509 *x = X509_new();
    bool is_own = w->signs_itself || !a->certificate;

    X509_set_version(x, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(x), serial++);
    X509_gmtime_adj(X509_getm_notBefore(x), w->from_s ? w->from_s : -DAY_S);
    X509_gmtime_adj(X509_getm_notAfter(x), w->until_s ? w->until_s : DAY_S);
    X509_set_pubkey(x, key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC,
                               (const unsigned char *)w->common_name, -1, -1,
                               0);
    X509_set_issuer_name(x, is_own ? X509_get_subject_name(x)
                                   : X509_get_subject_name(a->certificate));
    add_extension(x, NID_basic_constraints,
                  w->is_authority ? "critical,CA:TRUE" : "CA:FALSE");
    if (w->names)
        add_extension(x, NID_subject_alt_name, w->names);
    if (!X509_sign(x, is_own ? key : a->key, EVP_sha256()))
        abort();
    return x;
}

/* Writes FILE.pem and FILE.key. */
static inline void
authority_issue(struct authority *a, const char *file, const struct wish *w)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *x = make_certificate(a, w, key);
    char path[PATH_SIZE];
    FILE *f;

    (void)snprintf(path, sizeof(path), "%s/%s.pem", a->dir, file);
    f = fopen(path, "w");
    PEM_write_X509(f, x);
    fclose(f);
    (void)snprintf(path, sizeof(path), "%s/%s.key", a->dir, file);
    f = fopen(path, "w");
    PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL);
    fclose(f);
    if (w->is_authority && !a->certificate) {
        a->certificate = x;
        a->key = key;
        return;
    }
    X509_free(x);
    EVP_PKEY_free(key);
}

static inline void
authority_open(struct authority *a)
{
    *a = (struct authority){.dir = "/tmp/certificates.XXXXXX"};
    if (!mkdtemp(a->dir))
        abort();
    authority_issue(
        a, "ca",
        &(struct wish){.common_name = "Test Authority", .is_authority = true});
}

/* A server with one certificate, and whatever else the setup says. */
static inline struct net_tls *
make_server(const char *certificate, const char *key,
            struct net_tls_server_setup setup, struct err *err)
{
    struct net_tls_identity *id = net_tls_identity_load(certificate, key, err);
    struct net_tls_identities ids = {0};
    struct net_tls *t;

    if (!id)
        return NULL;
    net_tls_identities_add(&ids, id);
    setup.identities = &ids;
    if (!setup.name)
        setup.name = "test";
    t = net_tls_server(&setup, err);
    net_tls_identities_done(&ids);
    return t;
}

static inline void
authority_close(struct authority *a)
{
    char command[PATH_SIZE];

    (void)snprintf(command, sizeof(command), "rm -r %s", a->dir);
    if (system(command) != 0)
        abort();
    X509_free(a->certificate);
    EVP_PKEY_free(a->key);
}

#endif
