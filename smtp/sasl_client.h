/*
 * smtp/sasl_client - the client's side of one exchange of SASL, without I/O.
 *
 *     new -> [initial] -> challenge -> SEND ... -> is_proven
 *                            |  ^
 *                     DERIVE v  | salted
 *                          (driver)
 *
 * It is given what stands behind 334, as text, and says the octets of the
 * answer; base64 on the way out, and lines, are its user's.  What the server
 * may not do is found here: a SCRAM server that can't prove that it knows the
 * password, challenges out of order, a nonce that isn't built on ours.
 */
#ifndef SMTP_SASL_CLIENT_H
#define SMTP_SASL_CLIENT_H

#include "relay/base/buf.h"
#include "relay/base/err.h"
#include "smtp/sasl.h"
#include "smtp/sasl_scram.h"

enum {
    SMTP_SASL_NONCE_MAX = 64,  /* characters of ours */
    SMTP_SASL_SALT_MAX = 1024, /* octets */
};

/* Whom we are to be there; borrowed for as long as the exchange lasts. */
struct smtp_sasl_account {
    unsigned mechanisms; /* that may be used; SMTP_SASL_BIT */
    const char *user;
    const char *secret; /* the password, or the access token */
    const char *host;   /* OAUTHBEARER tells the server its own name */
    unsigned port;
    const char *nonce; /* SCRAM: printable, no comma, new each time */
};

/* The best of those that are offered and may be used; false: none.  SCRAM,
 * which shows nobody the password, then PLAIN, then LOGIN; OAUTHBEARER, then
 * XOAUTH2. */
bool smtp_sasl_client_choose(unsigned allowed, unsigned offered,
                             enum smtp_sasl_mechanism *out) must_use;

enum smtp_sasl_client_move {
    SMTP_SASL_CLIENT_SEND,   /* the answer, maybe empty, was appended */
    SMTP_SASL_CLIENT_DERIVE, /* slow work first: see below */
    SMTP_SASL_CLIENT_CANCEL, /* the server went wrong */
};

struct smtp_sasl_client;

struct smtp_sasl_client *
smtp_sasl_client_new(const struct smtp_sasl_account *account,
                     enum smtp_sasl_mechanism mechanism);
void smtp_sasl_client_free(struct smtp_sasl_client **c);
enum smtp_sasl_mechanism
smtp_sasl_client_mechanism(const struct smtp_sasl_client *c);

/* Appends what the client may say before it is asked, if it speaks first; what
 * is not sent along with AUTH is the answer to an empty challenge. */
bool smtp_sasl_client_initial(const struct smtp_sasl_client *c,
                              struct buf *out);

/* It was sent along: the next challenge is another one. */
void smtp_sasl_client_sent_initial(struct smtp_sasl_client *c);

enum smtp_sasl_client_move
smtp_sasl_client_challenge(struct smtp_sasl_client *c, struct slice text,
                           struct buf *out, struct err *err);

/* What DERIVE asks for: smtp_sasl_scram_salt of these, on a thread that may
 * take its time; then salted. */
struct smtp_sasl_client_work {
    struct slice password, salt; /* borrowed from the exchange */
    unsigned iterations;
};
struct smtp_sasl_client_work
smtp_sasl_client_work(const struct smtp_sasl_client *c);
void smtp_sasl_client_salted(struct smtp_sasl_client *c,
                             const uint8_t salted[SMTP_SASL_SCRAM_KEY],
                             struct buf *out);

/* The server says that all is well: has it shown what it had to? */
bool smtp_sasl_client_is_proven(const struct smtp_sasl_client *c,
                                struct err *err) must_use;

/* What the server said of a token that it refused, as digits ("401"); "" when
 * it said nothing of the kind. */
const char *smtp_sasl_client_refusal(const struct smtp_sasl_client *c);

#endif
