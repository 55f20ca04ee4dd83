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

static bool
is_fitting(const struct mail_dkim_key *k, struct err *err)
{
    int bits = EVP_PKEY_get_bits(k->pkey);

    if (k->is_ed25519)
        return true;
    if (EVP_PKEY_get_base_id(k->pkey) != EVP_PKEY_RSA)
        return err_set(err, ERR_INPUT, "neither an RSA nor an Ed25519 key");
    /* RFC 8301 section 3.2: verifiers take no shorter ones, and need not take
     * longer ones. */
    if (bits < MAIL_DKIM_RSA_BITS_MIN || bits > MAIL_DKIM_RSA_BITS_MAX)
        return err_set(err, ERR_INPUT,
                       "an RSA key of %d bits, which is not from %d to %d",
                       bits, MAIL_DKIM_RSA_BITS_MIN, MAIL_DKIM_RSA_BITS_MAX);
    return true;
}

struct mail_dkim_key *
mail_dkim_key_new(struct slice pem, struct err *err)
{
    struct mail_dkim_key *k = mem_new(struct mail_dkim_key);
    BIO *text;

    if (pem.len > 0 && pem.len <= INT_MAX) {
        text = BIO_new_mem_buf(pem.p, (int)pem.len);
        mail_dkim_need(text != NULL);
        k->pkey = PEM_read_bio_PrivateKey(text, NULL, no_passphrase, NULL);
        BIO_free(text);
        ERR_clear_error();
    }
    if (!k->pkey) {
        err_set(err, ERR_INPUT,
                "not a private key in PEM without a passphrase");
        mail_dkim_key_free(&k);
        return NULL;
    }
    k->is_ed25519 = EVP_PKEY_get_base_id(k->pkey) == EVP_PKEY_ED25519;
    if (!is_fitting(k, err))
        mail_dkim_key_free(&k);
    return k;
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

void
mail_dkim_key_sign(const struct mail_dkim_key *k, struct slice data,
                   struct buf *out)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    const unsigned char *p = (const unsigned char *)data.p;
    unsigned char hash[MAIL_DKIM_HASH_SIZE];
    size_t len = (size_t)EVP_PKEY_get_size(k->pkey);
    unsigned char *room = (unsigned char *)buf_room(out, len);

    mail_dkim_need(ctx != NULL);
    if (k->is_ed25519) {
        /* RFC 8463 section 3: PureEdDSA of the hash, not of the text. */
        mail_dkim_need(
            EVP_Digest(p, data.len, hash, NULL, EVP_sha256(), NULL) == 1 &&
            EVP_DigestSignInit(ctx, NULL, NULL, NULL, k->pkey) == 1 &&
            EVP_DigestSign(ctx, room, &len, hash, sizeof(hash)) == 1);
    } else {
        mail_dkim_need(
            EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, k->pkey) == 1 &&
            EVP_DigestSign(ctx, room, &len, p, data.len) == 1);
    }
    EVP_MD_CTX_free(ctx);
    out->len += len;
}
