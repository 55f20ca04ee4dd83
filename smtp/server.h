/*
 * smtp/server - the server side of an SMTP session, without any I/O.
 *
 * The engine is told what happened and says what to do.  It owns no socket,
 * no timer, no clock and no queue, so a test drives it with strings.
 *
 *     told:  feed, tls_up, answer, shut           (by the driver)
 *     says:  next() event, output() octets to send, wait_ms() time limit
 *
 * After every call that tells, the driver takes all events, then sends the
 * output, then rearms its one timer.  While an answer is owed, feed uses no
 * input: the driver keeps it and feeds it again behind the answer.
 *
 *   banner -> EHLO/HELO -> READY -- MAIL? --> MAIL -- RCPT? --> RCPT ---+
 *               ^            ^                          ^------------ RCPT?
 *               |            |                                          |
 *   TLS <- STARTTLS          +-- answer <-- END <-- BODY.. <-- DATA? or BDAT
 *
 * An event with a question mark waits for smtp_server_answer: at once or a
 * second later, it makes no difference.
 *
 * End of data is CRLF.CRLF and nothing else (RFC 5321 section 4.1.1.4).  A
 * message with a bare CR, a bare LF or a NUL is read to its real end and then
 * refused, 550 5.6.0.  Octets that come behind STARTTLS in clear, or behind
 * DATA before 354, end the session.
 */
#ifndef SMTP_SERVER_H
#define SMTP_SERVER_H

#include "relay/base/buf.h"
#include "relay/mail/address.h"
#include "relay/mail/envelope.h"
#include "relay/mail/status.h"
#include "smtp/sasl_server.h"

#include <stdint.h>

enum {
    SMTP_SERVER_COMMAND_MAX = 2048, /* octets with CRLF; RFC 5321 section
                                       4.5.3.1.4 asks for 512 and more */
    SMTP_SERVER_LINE_MAX = 65536,   /* of a message; our own */
    SMTP_SERVER_ERRORS_MAX = 20,    /* refused commands before we close */
    SMTP_SERVER_JUNK_MAX = 100,     /* NOOP, RSET, VRFY, HELP between mails */
    SMTP_SERVER_AUTH_FAILURES_MAX = 3,
};

/* What this listener offers; copied by smtp_server_new, strings included. */
struct smtp_server_config {
    const char *hostname;
    uint64_t size_max;     /* octets of a message */
    size_t rcpt_max;       /* recipients of a message */
    bool offer_starttls;   /* a certificate is configured */
    bool require_tls;      /* 530 5.7.0 to MAIL in clear */
    bool is_tls;           /* implicit TLS: the session starts inside it */
    bool is_private;       /* never leaves this machine's kernel: what RFC 8689
                              asks of the way to us is met without TLS */
    bool offer_requiretls; /* inside TLS (RFC 8689), or where is_private */
    unsigned auth;         /* mechanisms that are offered, as SMTP_SASL_BIT()
                              has them, of SMTP_SASL_SERVER_ALL; 0: none */
    bool auth_in_clear;    /* also outside of TLS */
};

enum smtp_server_event_kind {
    SMTP_SERVER_START_TLS, /* send the output, shake hands, then tls_up */
    SMTP_SERVER_MAIL,      /* answer: may this reverse-path send? */
    SMTP_SERVER_RCPT,      /* answer: may this recipient be mailed? */
    SMTP_SERVER_DATA,      /* answer: may a body come now? 2yz or 4yz/5yz;
                              first BDAT asks the same */
    SMTP_SERVER_BODY,      /* a piece of the message: canonical CRLF lines,
                              dots unstuffed; may split anywhere */
    SMTP_SERVER_END,       /* answer: the message is whole; 250 only once it
                              is committed and synced */
    SMTP_SERVER_DROP,      /* forget the body received so far: refused,
                              broken or RSET in the middle of BDAT */
    SMTP_SERVER_OVER,      /* send the output, then close */
    SMTP_SERVER_VERIFIER,  /* SCRAM: smtp_server_verify, or answer a refusal */
    SMTP_SERVER_AUTH,      /* answer: has this user logged in?  235, 535, 454;
                              or 421, which ends the session */
};

/* Good until the answer. */
struct smtp_server_auth {
    const char *user;      /* as it was given, of whatever octets; "" when there
                              is a `why` */
    const char *mechanism; /* "PLAIN" */
    /* AUTH: */
    struct slice password; /* empty: there is none, see is_proven */
    bool is_proven;        /* SCRAM: against the verifier that was given */
    const char *why;       /* it can't be allowed whatever the password is: a
                              reason for the log; else NULL */
};

struct smtp_server_event {
    enum smtp_server_event_kind kind;
    const struct mail_address *address; /* MAIL, RCPT; "" is <>; valid until
                                           the answer */
    uint64_t size;                /* MAIL: declared SIZE, 0 when it was not */
    struct slice body;            /* BODY: valid until the next feed */
    struct smtp_server_auth auth; /* VERIFIER, AUTH */
    const char *why; /* OVER: a word for the log, "quit", "timeout", ... ;
                        DROP too */
};

struct smtp_server;

struct smtp_server *smtp_server_new(const struct smtp_server_config *config);
void smtp_server_free(struct smtp_server **s);

/* Queues the banner; call once, first (for implicit TLS behind the handshake).
 * `refusal` NULL, or a 421/554 status: the session then ends at once. */
void smtp_server_greet(struct smtp_server *s,
                       const struct mail_status *refusal);

/* Uses at most one command or one piece of body and returns how many octets
 * that took; 0 while an answer or a handshake is owed, and when over.  Take
 * the events before feeding the rest. */
size_t smtp_server_feed(struct smtp_server *s, struct slice in);

void smtp_server_tls_up(struct smtp_server *s);

/* The answer to the last event that asked.  The reply sent is the status, its
 * text included (RFC 2034 enhanced codes are added), cut to one line.  Behind
 * OVER it is too late and changes nothing. */
void smtp_server_answer(struct smtp_server *s,
                        const struct mail_status *status);

/* The answer to VERIFIER: the user's, or for a user who has none one that
 * nothing fits.  `nonce`: fresh and random, printable, without a comma, at most
 * SMTP_SASL_NONCE_MAX octets. */
void smtp_server_verify(struct smtp_server *s,
                        const struct smtp_sasl_verifier *verifier,
                        const char *nonce);

/* Inside TLS, before the first EHLO there: what this TLS session has agreed
 * upon for tls-exporter (RFC 9266).  SCRAM-SHA-256-PLUS is offered, too. */
void smtp_server_bind(struct smtp_server *s,
                      const uint8_t binding[SMTP_SASL_BINDING]);

/* The driver wants to end: 421 4.3.2 at the next command border (at once when
 * none is under way), with `why` for the log.  A body under way or an answer
 * owed is finished first; and behind the 250 of a message the client has a
 * second for its QUIT, as some take a 421 in that place for the end of the
 * message, and send it again.  Idempotent. */
void smtp_server_shut(struct smtp_server *s, const struct mail_status *status,
                      const char *why);

/* The time limit of wait_ms has passed: 421 4.4.2 and OVER; no reply in the
 * middle of a handshake.  While we owe an answer it changes nothing. */
void smtp_server_timeout(struct smtp_server *s);

bool smtp_server_next(struct smtp_server *s, struct smtp_server_event *ev);
struct buf *smtp_server_output(struct smtp_server *s);

/* How long the driver may wait from now for the peer: until a whole command
 * is in (it does not start anew with each octet; the driver rearms only when
 * wait_turn changes), a whole body, or a handshake is done; 0 while we owe an
 * answer.  RFC 5321 section 4.5.3.2.7. */
uint64_t smtp_server_wait_ms(const struct smtp_server *s);
unsigned smtp_server_wait_turn(const struct smtp_server *s);

/* True between commands: nothing of a transaction is under way. */
bool smtp_server_is_idle(const struct smtp_server *s);
/* True while a body is being received, between its chunks too (the driver then
 * minds the data rate). */
bool smtp_server_is_in_body(const struct smtp_server *s);

/* At END: the envelope moves out; the engine keeps none. */
void smtp_server_take_envelope(struct smtp_server *s,
                               struct mail_envelope *out);
const struct mail_envelope *smtp_server_envelope(const struct smtp_server *s);

const char *smtp_server_helo(const struct smtp_server *s); /* cleaned, or "" */
bool smtp_server_is_esmtp(const struct smtp_server *s);
bool smtp_server_is_tls(const struct smtp_server *s);
const char *smtp_server_user(const struct smtp_server *s); /* who has logged in;
                                                              NULL: nobody */

#endif
