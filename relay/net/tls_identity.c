#include "relay/net/tls_identity.h"

#include "relay/base/mem.h"
#include "relay/net/tls_context.h"
#include "relay/net/tls_identity_use.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

enum { CHAIN_MAX = 20 }; /* certificates of one file */

struct net_tls_identity {
    char *file;
    X509 *leaf;
    STACK_OF(X509) * chain; /* without the leaf */
    EVP_PKEY *key;
};

/* A key behind a password would make OpenSSL ask the terminal. */
static int
no_password(char *buf, int size, int rwflag, void *ctx)
{
    (void)buf, (void)size, (void)rwflag, (void)ctx;
    return -1;
}

static bool
open_file(const char *file, BIO **out, struct err *err)
{
    struct stat st;

    if (stat(file, &st) != 0)
        return err_set(err, ERR_INPUT, "%s: %s", file, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return err_set(err, ERR_INPUT, "%s: not a regular file", file);
    *out = BIO_new_file(file, "r");
    return *out || err_set(err, ERR_INPUT, "%s: %s", file,
                           net_tls_reason("unreadable"));
}

/* OpenSSL calls it a start line. */
static bool
is_nothing_found(void)
{
    return ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
}

static void
close_file(BIO **in)
{
    BIO_free(*in);
    ERR_clear_error(); /* the end of a file is an error to PEM */
}

static bool
read_chain(struct net_tls_identity *id, const char *file, struct err *err)
{
    scoped(close_file) BIO *in = NULL;
    X509 *next;

    if (!open_file(file, &in, err))
        return false;
    id->leaf = PEM_read_bio_X509_AUX(in, NULL, no_password, NULL);
    if (!id->leaf && is_nothing_found())
        return err_set(err, ERR_INPUT, "%s: no certificate in it (PEM)", file);
    if (!id->leaf)
        return err_set(err, ERR_INPUT, "%s: %s", file,
                       net_tls_reason("no certificate"));
    while ((next = PEM_read_bio_X509(in, NULL, no_password, NULL)) != NULL)
        if (sk_X509_num(id->chain) >= CHAIN_MAX ||
            sk_X509_push(id->chain, next) == 0) {
            X509_free(next);
            return err_set(err, ERR_LIMIT, "%s: more than %d certificates",
                           file, CHAIN_MAX);
        }
    /* Something else behind them, as of a file that is being written. */
    if (!is_nothing_found())
        return err_set(err, ERR_INPUT, "%s: %s", file,
                       net_tls_reason("a broken certificate"));
    return true;
}

static bool
read_key(struct net_tls_identity *id, const char *file, struct err *err)
{
    scoped(close_file) BIO *in = NULL;

    if (!open_file(file, &in, err))
        return false;
    id->key = PEM_read_bio_PrivateKey(in, NULL, no_password, NULL);
    if (!id->key)
        return err_set(err, ERR_INPUT, "%s: %s", file,
                       net_tls_reason("no private key"));
    if (X509_check_private_key(id->leaf, id->key) != 1)
        return err_set(err, ERR_INPUT, "%s: not the key of the certificate %s",
                       file, id->file);
    return true;
}

struct net_tls_identity *
net_tls_identity_load(const char *certificate, const char *key, struct err *err)
{
    struct net_tls_identity *id = mem_new(struct net_tls_identity);

    ERR_clear_error();
    id->file = mem_text(certificate);
    id->chain = sk_X509_new_null();
    net_tls_need(id->chain);
    if (!read_chain(id, certificate, err) || !read_key(id, key, err))
        net_tls_identity_free(&id);
    return id;
}

struct net_tls_identity *
net_tls_identity_share(const struct net_tls_identity *id)
{
    struct net_tls_identity *share = mem_new(struct net_tls_identity);

    share->file = mem_text(id->file);
    share->leaf = id->leaf;
    share->key = id->key;
    share->chain = X509_chain_up_ref(id->chain);
    net_tls_need(share->chain);
    if (X509_up_ref(id->leaf) != 1 || EVP_PKEY_up_ref(id->key) != 1)
        abort();
    return share;
}

void
net_tls_identity_free(struct net_tls_identity **slot)
{
    struct net_tls_identity *id = take(slot);

    if (!id)
        return;
    X509_free(id->leaf);
    EVP_PKEY_free(id->key);
    sk_X509_pop_free(id->chain, X509_free);
    free(id->file);
    free(id);
}

int64_t
net_tls_identity_not_after(const struct net_tls_identity *id)
{
    struct tm tm = {0};

    return ASN1_TIME_to_tm(X509_get0_notAfter(id->leaf), &tm) == 1
               ? (int64_t)timegm(&tm)
               : 0;
}

bool
net_tls_identity_use(SSL_CTX *ssl, const struct net_tls_identity *id,
                     struct err *err)
{
    return SSL_CTX_use_cert_and_key(ssl, id->leaf, id->key, id->chain, 1) ==
               1 ||
           err_set(err, ERR_INPUT, "%s: %s", id->file,
                   net_tls_reason("can't be used"));
}

/* --- several --- */

void
net_tls_identities_add(struct net_tls_identities *ids,
                       struct net_tls_identity *id)
{
    ids->list = mem_resized(ids->list, ids->count + 1, sizeof(*ids->list));
    ids->list[ids->count++] = id;
}

struct net_tls_identities
net_tls_identities_share(const struct net_tls_identities *ids)
{
    struct net_tls_identities shares = {0};

    for (size_t i = 0; i < ids->count; i++)
        net_tls_identities_add(&shares, net_tls_identity_share(ids->list[i]));
    return shares;
}

void
net_tls_identities_done(struct net_tls_identities *ids)
{
    for (size_t i = 0; i < ids->count; i++)
        net_tls_identity_free(&ids->list[i]);
    free(ids->list);
    *ids = (struct net_tls_identities){0};
}

static bool
has_name(const struct net_tls_identity *id, const char *name, unsigned flags)
{
    return X509_check_host(id->leaf, name, 0,
                           X509_CHECK_FLAG_NEVER_CHECK_SUBJECT |
                               X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | flags,
                           NULL) == 1;
}

/* Those that have the name in this way; false: none has it. */
static bool
show(SSL *ssl, const struct net_tls_identities *ids, const char *name,
     unsigned flags)
{
    bool has_any = false;

    for (size_t i = 0; i < ids->count; i++) {
        const struct net_tls_identity *id = ids->list[i];

        if (!has_name(id, name, flags))
            continue;
        if (!has_any)
            SSL_certs_clear(ssl);
        has_any = true;
        /* The second of one kind of key is not taken. */
        (void)SSL_use_cert_and_key(ssl, id->leaf, id->key, id->chain, 0);
    }
    ERR_clear_error();
    return has_any;
}

void
net_tls_identities_choose(SSL *ssl, const struct net_tls_identities *ids)
{
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);

    /* OpenSSL takes ".example.com" for "any host below". */
    if (name && name[0] != '.' &&
        !show(ssl, ids, name, X509_CHECK_FLAG_NO_WILDCARDS))
        (void)show(ssl, ids, name, 0);
}
