/*
 * smtp/sasl_scram - the arithmetic of SCRAM-SHA-256 (RFC 5802, RFC 7677), the
 * same on both sides.
 *
 *     password, salt, iterations --salt (slow)--> salted password
 *     salted password --derive--> client key, stored key, server key
 *     proof            = client key XOR sign(stored key, auth message)
 *     server signature = sign(server key, auth message)
 *
 * The server keeps stored key and server key, and no password.
 */
#ifndef SMTP_SASL_SCRAM_H
#define SMTP_SASL_SCRAM_H

#include "relay/base/slice.h"

#include <stdint.h>

enum {
    SMTP_SASL_SCRAM_KEY = 32, /* octets of every key, proof and signature */
    SMTP_SASL_SCRAM_ITERATIONS_MIN = 4096, /* RFC 7677 section 4 */
    SMTP_SASL_SCRAM_ITERATIONS_MAX = 1000000,
};

struct smtp_sasl_scram_keys {
    uint8_t client[SMTP_SASL_SCRAM_KEY];
    uint8_t stored[SMTP_SASL_SCRAM_KEY];
    uint8_t server[SMTP_SASL_SCRAM_KEY];
};

/* Tenths of a second of work at the most iterations: not on a loop's thread.
 * The password goes in as it is: one beyond ASCII has to be in the form that
 * RFC 4013 asks for already. */
void smtp_sasl_scram_salt(struct slice password, struct slice salt,
                          unsigned iterations,
                          uint8_t out[SMTP_SASL_SCRAM_KEY]);

void smtp_sasl_scram_derive(const uint8_t salted[SMTP_SASL_SCRAM_KEY],
                            struct smtp_sasl_scram_keys *out);

void smtp_sasl_scram_sign(const uint8_t key[SMTP_SASL_SCRAM_KEY],
                          struct slice auth_message,
                          uint8_t out[SMTP_SASL_SCRAM_KEY]);

#endif
