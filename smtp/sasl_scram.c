#include "smtp/sasl_scram.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <stdlib.h>

/* OpenSSL fails here only for want of memory, or without its default
 * provider. */
static void
need(bool done)
{
    if (!done)
        abort();
}

void
smtp_sasl_scram_salt(struct slice password, struct slice salt,
                     unsigned iterations, uint8_t out[SMTP_SASL_SCRAM_KEY])
{
    /* Hi() is PBKDF2 with one block: RFC 5802 section 2.2 */
    need(PKCS5_PBKDF2_HMAC(password.p, (int)password.len,
                           (const unsigned char *)salt.p, (int)salt.len,
                           (int)iterations, EVP_sha256(), SMTP_SASL_SCRAM_KEY,
                           out) == 1);
}

void
smtp_sasl_scram_sign(const uint8_t key[SMTP_SASL_SCRAM_KEY],
                     struct slice auth_message,
                     uint8_t out[SMTP_SASL_SCRAM_KEY])
{
    unsigned len = 0;

    need(HMAC(EVP_sha256(), key, SMTP_SASL_SCRAM_KEY,
              (const unsigned char *)auth_message.p, auth_message.len, out,
              &len) != NULL &&
         len == SMTP_SASL_SCRAM_KEY);
}

/* RFC 5802 section 3 */
void
smtp_sasl_scram_derive(const uint8_t salted[SMTP_SASL_SCRAM_KEY],
                       struct smtp_sasl_scram_keys *out)
{
    smtp_sasl_scram_sign(salted, slice_of("Client Key"), out->client);
    need(SHA256(out->client, SMTP_SASL_SCRAM_KEY, out->stored) != NULL);
    smtp_sasl_scram_sign(salted, slice_of("Server Key"), out->server);
}
