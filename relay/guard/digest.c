#include "relay/guard/digest.h"

#include "relay/base/mem.h"
#include "relay/base/own.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdint.h>
#include <stdlib.h>

struct digest {
    EVP_MD_CTX *hash;
};

/* libcrypto fails here only without memory. */
static void
need(bool ok)
{
    if (!ok)
        abort();
}

struct digest *
digest_new(void)
{
    struct digest *d = mem_new(struct digest);

    d->hash = EVP_MD_CTX_new();
    need(d->hash && EVP_DigestInit_ex(d->hash, EVP_sha256(), NULL) == 1);
    return d;
}

void
digest_free(struct digest **slot)
{
    struct digest *d = take(slot);

    if (!d)
        return;
    EVP_MD_CTX_free(d->hash);
    free(d);
}

void
digest_add(struct digest *d, struct slice octets)
{
    need(EVP_DigestUpdate(d->hash, octets.p, octets.len) == 1);
}

void
digest_add_text(struct digest *d, struct slice text)
{
    uint64_t length = text.len;

    digest_add(d, (struct slice){(const char *)&length, sizeof(length)});
    digest_add(d, text);
}

void
digest_end(struct digest *d, unsigned char out[DIGEST_SIZE])
{
    need(EVP_DigestFinal_ex(d->hash, out, NULL) == 1);
}

bool
digest_same(struct slice a, struct slice b)
{
    unsigned char of_a[DIGEST_SIZE], of_b[DIGEST_SIZE];

    need(EVP_Digest(a.p, a.len, of_a, NULL, EVP_sha256(), NULL) == 1 &&
         EVP_Digest(b.p, b.len, of_b, NULL, EVP_sha256(), NULL) == 1);
    return CRYPTO_memcmp(of_a, of_b, DIGEST_SIZE) == 0;
}
