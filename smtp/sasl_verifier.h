/*
 * smtp/sasl_verifier - what a server keeps of a password for SCRAM-SHA-256.
 *
 * It lets nobody log in elsewhere; but whoever has it can try passwords on it,
 * and can play this server.
 */
#ifndef SMTP_SASL_VERIFIER_H
#define SMTP_SASL_VERIFIER_H

#include "relay/base/buf.h"
#include "relay/base/err.h"
#include "smtp/sasl_scram.h"

#include "relay/base/own.h"

enum { SMTP_SASL_VERIFIER_SALT_MAX = 64 };

struct smtp_sasl_verifier {
    unsigned iterations;
    size_t salt_len;
    uint8_t salt[SMTP_SASL_VERIFIER_SALT_MAX];
    uint8_t stored[SMTP_SASL_SCRAM_KEY];
    uint8_t server[SMTP_SASL_SCRAM_KEY];
};

/* As slow as smtp_sasl_scram_salt. */
void smtp_sasl_verifier_make(struct slice password, struct slice salt,
                             unsigned iterations,
                             struct smtp_sasl_verifier *out);

/* "SCRAM-SHA-256$ITERATIONS:SALT$STOREDKEY:SERVERKEY" (RFC 5803 section 3). */
bool smtp_sasl_verifier_parse(struct slice text, struct smtp_sasl_verifier *out,
                              struct err *err) must_use;
void smtp_sasl_verifier_format(const struct smtp_sasl_verifier *v,
                               struct buf *out);

#endif
