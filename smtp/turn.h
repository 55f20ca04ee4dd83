/*
 * smtp/turn - what each reply means to a client session.
 *
 * The inside of smtp/client: its state, what it is owed, and a table with a
 * handler for each step.  A handler is given the reply, may say events and
 * send commands, and must return whose turn it is then; that the claim is true
 * is asserted.  Only smtp/client includes this.
 */
#ifndef SMTP_TURN_H
#define SMTP_TURN_H

#include "smtp/client.h"
#include "smtp/sasl_client.h"
#include "smtp/stuff.h"

enum {
    SMTP_TURN_BLOCK_S = 180,    /* RFC 5321 section 4.5.3.2.5 */
    SMTP_TURN_HANDSHAKE_S = 60, /* our own */
    SMTP_TURN_SAID_MAX = 3,     /* answers of an exchange */
};

/* What a reply can be the answer to. */
enum smtp_turn_step {
    SMTP_STEP_GREETING,
    SMTP_STEP_EHLO,
    SMTP_STEP_HELO,
    SMTP_STEP_STARTTLS,
    SMTP_STEP_AUTH, /* or a line of the exchange behind it */
    SMTP_STEP_MAIL,
    SMTP_STEP_RCPT,
    SMTP_STEP_DATA,
    SMTP_STEP_NOBODY, /* the dot that ends a message for nobody */
    SMTP_STEP_DOT,
    SMTP_STEP_BDAT,
    SMTP_STEP_LAST, /* BDAT LAST */
    SMTP_STEP_RSET,
    SMTP_STEP_QUIT,
    SMTP_STEP_UNASKED, /* nothing: the server has begun to say goodbye */
};

/* Who moves next.  Every handler must say. */
enum smtp_turn {
    SMTP_TURN_PEER,   /* we are owed a reply */
    SMTP_TURN_DRIVER, /* an event asks the driver to act */
    SMTP_TURN_NOBODY, /* the session is over */
};

/* Commands sent and not yet answered, oldest first (RFC 2920), equal ones
 * behind each other as one: of a transaction these are MAIL, RCPT and DATA, or
 * BDAT and its LAST. */
struct smtp_turn_debts {
    struct {
        enum smtp_turn_step step;
        size_t count;
    } runs[4];
    size_t runs_count, total;
};

struct smtp_client {
    char *our_name;
    enum smtp_client_tls tls;
    bool has_tls;
    struct smtp_capability capability;

    const struct smtp_sasl_account *account; /* NULL: none, or no longer */
    struct smtp_sasl_client *sasl;           /* while AUTH is under way, and */
    struct buf said[SMTP_TURN_SAID_MAX];     /* what was said by it */
    size_t said_count;

    enum smtp_turn turn;
    unsigned turn_number;
    struct smtp_turn_debts owed;
    enum smtp_client_event_kind asked; /* of the driver, while it is its turn */

    struct smtp_client_mail mail;
    bool by_bdat;
    bool is_settled; /* VERDICT is said: what follows is moot */
    bool in_body;    /* between BODY and body_end */
    bool in_doubt;
    size_t rcpt_sent, rcpt_answered, rcpt_accepted;
    struct smtp_stuff stuff;
    struct buf piece; /* of a body by BDAT, not sent: it may be the last */

    struct smtp_reply_reader in;
    struct smtp_reply *ours; /* or NULL */
    struct buf out;
    struct smtp_client_event events[2]; /* no call causes more */
    size_t event_first, event_count;
    struct err err;
};

/* Takes the reply to what was owed longest. */
void smtp_turn_reply(struct smtp_client *c, const struct smtp_reply *r);

void smtp_turn_owe(struct smtp_client *c, enum smtp_turn_step step);
bool smtp_turn_owes_only(const struct smtp_client *c, enum smtp_turn_step step);

struct smtp_client_event *smtp_turn_say(struct smtp_client *c,
                                        enum smtp_client_event_kind kind);

/* Each does what its name says and returns whose turn that makes it. */
enum smtp_turn smtp_turn_ask(struct smtp_client *c,
                             enum smtp_client_event_kind kind);
enum smtp_turn smtp_turn_give_up(struct smtp_client *c,
                                 enum smtp_client_end end);
enum smtp_turn smtp_turn_command(struct smtp_client *c,
                                 enum smtp_turn_step step, const char *verb,
                                 const char *parameter);
enum smtp_turn smtp_turn_send_rcpt(struct smtp_client *c);

/* --- turn_auth.c --- */

/* READY; but first AUTH, where there is an account. */
enum smtp_turn smtp_turn_be_ready(struct smtp_client *c);
enum smtp_turn smtp_turn_auth_reply(struct smtp_client *c,
                                    const struct smtp_reply *r);
void smtp_turn_auth_salted(struct smtp_client *c,
                           const uint8_t salted[SMTP_SASL_SCRAM_KEY]);
/* The reply without what must not be told; good until the next one. */
const struct smtp_reply *smtp_turn_auth_scrub(struct smtp_client *c,
                                              const struct smtp_reply *r);
/* Forgets the exchange. */
void smtp_turn_auth_done(struct smtp_client *c);

/* --- */

/* Required, and not there yet. */
bool smtp_turn_is_tls_missing(const struct smtp_client *c);

const char *smtp_turn_name(enum smtp_turn_step step);
unsigned smtp_turn_wait_s(enum smtp_turn_step step);

#endif
