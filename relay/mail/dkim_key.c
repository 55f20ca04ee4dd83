#include "relay/base/mem.h"
#include "relay/mail/dkim_inside.h"

#include <limits.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdlib.h>

enum { ED25519_SIZE = 32 };

struct mail_dkim_key {
    EVP_PKEY *pkey;
    bool is_ed25519;
};

void
mail_dkim_need(bool ok)
{
    if (!ok)
        abort();
}

void
mail_dkim_base64(struct slice bytes, struct buf *out)
{
    char *room = buf_room(out, (bytes.len + 2) / 3 * 4 + 1);

    out->len += (size_t)EVP_EncodeBlock(
        (unsigned char *)room, (const unsigned char *)bytes.p, (int)bytes.len);
}

/* Never asks a terminal. */
static int
no_passphrase(char *text, int size, int rwflag, void *ctx)
{
    (void)text;
    (void)size;
    (void)rwflag;
    (void)ctx;
    return -1;
}

/* RSA hashes the data, Ed25519 takes it as it is. */
static bool
sign_raw(const struct mail_dkim_key *k, struct slice data, struct buf *out,
         struct err *err)
{
    const EVP_MD *md = k->is_ed25519 ? NULL : EVP_sha256();
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    size_t len = (size_t)EVP_PKEY_get_size(k->pkey);
    unsigned char *room = (unsigned char *)buf_room(out, len);
    bool ok;

    mail_dkim_need(ctx != NULL);
    ok = EVP_DigestSignInit(ctx, NULL, md, NULL, k->pkey) == 1 &&
         EVP_DigestSign(ctx, room, &len, (const unsigned char *)data.p,
                        data.len) == 1;
    EVP_MD_CTX_free(ctx);
    ERR_clear_error();
    if (!ok)
        return err_set(err, ERR_SYSTEM, "the key can't sign");
    out->len += len;
    return true;
}

/* What OpenSSL reads need not fit together: each key is tried once. */
static bool
is_whole(const struct mail_dkim_key *k)
{
    static const unsigned char text[] = "text", *const p = text;
    const EVP_MD *md = k->is_ed25519 ? NULL : EVP_sha256();
    struct buf signature scoped(buf_free) = {0};
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    struct slice data = {(const char *)p, sizeof(text)};
    struct err err;
    bool ok = sign_raw(k, data, &signature, &err);

    mail_dkim_need(ctx != NULL);
    ok = ok && EVP_DigestVerifyInit(ctx, NULL, md, NULL, k->pkey) == 1 &&
         EVP_DigestVerify(ctx, (const unsigned char *)signature.p,
                          signature.len, p, sizeof(text)) == 1;
    EVP_MD_CTX_free(ctx);
    ERR_clear_error();
    return ok;
}

static bool
is_fitting(const struct mail_dkim_key *k, struct err *err)
{
    int bits = EVP_PKEY_get_bits(k->pkey);

    if (!k->is_ed25519 && EVP_PKEY_get_base_id(k->pkey) != EVP_PKEY_RSA)
        return err_set(err, ERR_INPUT, "neither an RSA nor an Ed25519 key");
    /* RFC 8301 section 3.2: verifiers take no shorter ones, and need not take
     * longer ones. */
    if (!k->is_ed25519 &&
        (bits < MAIL_DKIM_RSA_BITS_MIN || bits > MAIL_DKIM_RSA_BITS_MAX))
        return err_set(err, ERR_INPUT,
                       "an RSA key of %d bits, which is not from %d to %d",
                       bits, MAIL_DKIM_RSA_BITS_MIN, MAIL_DKIM_RSA_BITS_MAX);
    if (!is_whole(k))
        return err_set(err, ERR_INPUT, "a damaged key: its parts do not fit");
    return true;
}

static struct mail_dkim_key *
new_key(EVP_PKEY *pkey)
{
    struct mail_dkim_key *k = mem_new(struct mail_dkim_key);

    k->pkey = pkey;
    k->is_ed25519 = EVP_PKEY_get_base_id(pkey) == EVP_PKEY_ED25519;
    return k;
}

struct mail_dkim_key *
mail_dkim_key_new(struct slice pem, struct err *err)
{
    struct mail_dkim_key *k;
    EVP_PKEY *pkey = NULL;

    if (pem.len > 0 && pem.len <= INT_MAX) {
        BIO *text = BIO_new_mem_buf(pem.p, (int)pem.len);

        mail_dkim_need(text != NULL);
        pkey = PEM_read_bio_PrivateKey(text, NULL, no_passphrase, NULL);
        BIO_free(text);
        ERR_clear_error();
    }
    if (!pkey) {
        err_set(err, ERR_INPUT,
                "not a private key in PEM without a passphrase");
        return NULL;
    }
    k = new_key(pkey);
    if (!is_fitting(k, err))
        mail_dkim_key_free(&k);
    return k;
}

struct mail_dkim_key *
mail_dkim_key_make(bool is_ed25519)
{
    EVP_PKEY *pkey = is_ed25519 ? EVP_PKEY_Q_keygen(NULL, NULL, "ED25519")
                                : EVP_RSA_gen(MAIL_DKIM_RSA_BITS_MADE);

    mail_dkim_need(pkey != NULL);
    return new_key(pkey);
}

struct mail_dkim_key *
mail_dkim_key_like(const struct mail_dkim_key *k)
{
    mail_dkim_need(EVP_PKEY_up_ref(k->pkey) == 1);
    return new_key(k->pkey);
}

void
mail_dkim_key_free(struct mail_dkim_key **place)
{
    struct mail_dkim_key *k = take(place);

    if (!k)
        return;
    EVP_PKEY_free(k->pkey);
    free(k);
}

const char *
mail_dkim_key_algorithm(const struct mail_dkim_key *k)
{
    return k->is_ed25519 ? "ed25519-sha256" : "rsa-sha256";
}

bool
mail_dkim_key_is_short(const struct mail_dkim_key *k)
{
    return !k->is_ed25519 &&
           EVP_PKEY_get_bits(k->pkey) < MAIL_DKIM_RSA_BITS_GOOD;
}

void
mail_dkim_key_write(const struct mail_dkim_key *k, struct buf *pem)
{
    BIO *text = BIO_new(BIO_s_secmem());
    char *p;
    long len;

    mail_dkim_need(text && PEM_write_bio_PKCS8PrivateKey(
                               text, k->pkey, NULL, NULL, 0, NULL, NULL) == 1);
    len = BIO_get_mem_data(text, &p);
    buf_add(pem, (struct slice){p, (size_t)len});
    BIO_free(text);
}

void
mail_dkim_key_record(const struct mail_dkim_key *k, struct buf *out)
{
    unsigned char raw[ED25519_SIZE];
    unsigned char *der = NULL;
    size_t len = sizeof(raw);

    if (k->is_ed25519) { /* RFC 8463 section 4: the octets, no structure */
        mail_dkim_need(EVP_PKEY_get_raw_public_key(k->pkey, raw, &len) == 1);
        buf_add_text(out, "v=DKIM1; k=ed25519; p=");
        mail_dkim_base64((struct slice){(const char *)raw, len}, out);
        return;
    }
    len = (size_t)i2d_PUBKEY(k->pkey, &der);
    mail_dkim_need(der != NULL);
    buf_add_text(out, "v=DKIM1; k=rsa; p=");
    mail_dkim_base64((struct slice){(const char *)der, len}, out);
    OPENSSL_free(der);
}

bool
mail_dkim_key_sign(const struct mail_dkim_key *k, struct slice data,
                   struct buf *out, struct err *err)
{
    unsigned char hash[MAIL_DKIM_HASH_SIZE];

    if (!k->is_ed25519)
        return sign_raw(k, data, out, err);
    /* RFC 8463 section 3: PureEdDSA of the hash, not of the text. */
    mail_dkim_need(
        EVP_Digest(data.p, data.len, hash, NULL, EVP_sha256(), NULL) == 1);
    data = (struct slice){(const char *)hash, sizeof(hash)};
    return sign_raw(k, data, out, err);
}
