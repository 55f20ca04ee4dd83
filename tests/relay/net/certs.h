/*
 * Certificates for tests, made on the spot: an authority and leaves, as PEM
 * files in a scratch directory.
 */
#ifndef TESTS_RELAY_NET_CERTS_H
#define TESTS_RELAY_NET_CERTS_H

#include "scratch.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

struct certs {
    struct scratch dir;
    EVP_PKEY *ca_key;
    X509 *ca;
    long serial;
};

static inline void
certs_write(struct certs *c, const char *name, X509 *cert, EVP_PKEY *key)
{
    FILE *f = fopen(scratch_file(&c->dir, name), "w");

    if (!f || (cert && !PEM_write_X509(f, cert)) ||
        (key && !PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL)) ||
        fclose(f) != 0)
        abort();
}

static inline void
certs_extend(X509 *cert, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509_EXTENSION *e;

    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    if (!e || !X509_add_ext(cert, e, -1))
        abort();
    X509_EXTENSION_free(e);
}

/* Signed by the authority, or by itself when `is_own`. */
static inline X509 *
certs_make(struct certs *c, EVP_PKEY *key, const char *cn, const char *san,
           long from_s, long until_s, bool is_own)
{
    X509 *cert = X509_new();
    X509_NAME *name = X509_get_subject_name(cert);

    X509_set_version(cert, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), ++c->serial);
    X509_gmtime_adj(X509_getm_notBefore(cert), from_s);
    X509_gmtime_adj(X509_getm_notAfter(cert), until_s);
    X509_set_pubkey(cert, key);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                               (const unsigned char *)cn, -1, -1, 0);
    X509_set_issuer_name(cert, is_own ? name : X509_get_subject_name(c->ca));
    if (san)
        certs_extend(cert, cert, NID_subject_alt_name, san);
    else
        certs_extend(cert, cert, NID_basic_constraints, "critical,CA:TRUE");
    if (!X509_sign(cert, is_own ? key : c->ca_key, EVP_sha256()))
        abort();
    return cert;
}

/* The authority's certificate is the file "ca.pem". */
static inline void
certs_open(struct certs *c)
{
    *c = (struct certs){0};
    scratch_make(&c->dir);
    c->ca_key = EVP_EC_gen("P-256");
    c->ca = certs_make(c, c->ca_key, "Test authority", NULL, -3600, 3600, true);
    certs_write(c, "ca.pem", c->ca, NULL);
}

/* A leaf with its key in one file, "<file>"; san as in "DNS:a.test". */
static inline void
certs_add(struct certs *c, const char *file, const char *san, long from_s,
          long until_s, bool is_own)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = certs_make(c, key, "leaf.test", san, from_s, until_s, is_own);

    certs_write(c, file, cert, key);
    X509_free(cert);
    EVP_PKEY_free(key);
}

static inline void
certs_close(struct certs *c)
{
    X509_free(c->ca);
    EVP_PKEY_free(c->ca_key);
    scratch_remove(&c->dir);
}

#endif
