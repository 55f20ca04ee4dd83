/*
 * smtp/sasl_server - the server's side of one exchange of SASL.
 *
 * Takes decoded responses and gives challenges.  It knows no passwords: it
 * ends with a question, whether this password is this user's, or with a proof
 * that it has checked against the verifier that it was given.
 *
 *     begin -> CHALLENGE <-> feed ... -> JUDGE
 *                 ^             |
 *                 +- VERIFIER <-+         (SCRAM)
 */
#ifndef SMTP_SASL_SERVER_H
#define SMTP_SASL_SERVER_H

#include "smtp/sasl.h"
#include "smtp/sasl_verifier.h"

enum {
    SMTP_SASL_BINDING = 32,    /* octets of tls-exporter: RFC 9266 section 2 */
    SMTP_SASL_NONCE_MAX = 128, /* of either side; our own */
};

/* What this server can do; XOAUTH2 and OAUTHBEARER it can't. */
#define SMTP_SASL_SERVER_ALL                                                   \
    (SMTP_SASL_BIT(SMTP_SASL_PLAIN) | SMTP_SASL_BIT(SMTP_SASL_LOGIN) |         \
     SMTP_SASL_BIT(SMTP_SASL_SCRAM_SHA_256))

enum smtp_sasl_next {
    SMTP_SASL_CHALLENGE, /* send it, feed the response */
    SMTP_SASL_VERIFIER,  /* give that of `user` */
    SMTP_SASL_JUDGE,     /* the exchange is over: see struct */
    SMTP_SASL_MALFORMED, /* over: what came is no message of this mechanism */
};

struct smtp_sasl_server;

typedef enum smtp_sasl_next smtp_sasl_step_fn(struct smtp_sasl_server *s,
                                              struct slice in, struct buf *out);

struct smtp_sasl_server {
    /* At JUDGE. */
    char *user;          /* never NULL then; maybe "" when `why` is set */
    struct buf password; /* PLAIN, LOGIN */
    bool is_proven;      /* SCRAM: the user knows the password */
    const char *why;     /* it must fail, whatever the password: for the log */

    /* Its own. */
    smtp_sasl_step_fn *step; /* what the next response is */
    bool is_plus;            /* SCRAM-SHA-256-PLUS */
    bool has_binding;        /* and that was offered */
    uint8_t binding[SMTP_SASL_BINDING];
    struct buf gs2;          /* the header of the first message */
    struct buf auth_message; /* as far as it is known */
    struct buf nonce;        /* the client's, then both */
    struct smtp_sasl_verifier verifier;
};

/* Zeroed storage, or what was released.  `is_plus` goes with SCRAM-SHA-256.
 * `binding` NULL: there is none to bind to, so -PLUS was not offered. */
void smtp_sasl_server_begin(struct smtp_sasl_server *s,
                            enum smtp_sasl_mechanism mechanism, bool is_plus,
                            const uint8_t *binding);

/* Overwrites what it knows. */
void smtp_sasl_server_done(struct smtp_sasl_server *s);

/* The first call without an initial response: what asks for one. */
enum smtp_sasl_next smtp_sasl_server_ask(struct smtp_sasl_server *s,
                                         struct buf *challenge);

/* A response; at CHALLENGE the next challenge is appended. */
enum smtp_sasl_next smtp_sasl_server_feed(struct smtp_sasl_server *s,
                                          struct slice response,
                                          struct buf *challenge);

/* At VERIFIER.  For a user who has none, one that nothing fits.  `nonce`: fresh
 * and random, printable, without a comma. */
enum smtp_sasl_next
smtp_sasl_server_verify(struct smtp_sasl_server *s,
                        const struct smtp_sasl_verifier *verifier,
                        const char *nonce, struct buf *challenge);

#endif
