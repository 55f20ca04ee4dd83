/*
 * smtp/client - the client side of an SMTP session, without any I/O.
 *
 *     told:  feed, tls_up, mail, body, body_end, quit      (by the driver)
 *     says:  next() event, output() octets to send, wait_s() time limit
 *
 * After every call that tells, the driver takes all events, then sends the
 * output, then rearms its one timer.  What is told to a session that is over,
 * or about to be, is passed over: the driver need not look first.
 *
 *     greeting -> EHLO -> [START_TLS -> EHLO] -> [AUTH] -> READY <---------+
 *                   | 5yz, no TLS needed: HELO     |                       |
 *                                                  |                       |
 *            mail(): MAIL RCPT.. DATA, in one flight where PIPELINING is   |
 *            offered (RFC 2920), else one by one; BDAT where CHUNKING is   |
 *                                     |         |                          |
 *                  refused, or nobody accepted  BODY -> body_end           |
 *                             RSET |                      | VERDICT        |
 *                                  +----------------------+----------------+
 *
 * From anywhere: 421, a broken reply, or octets nobody asked for end in OVER;
 * recipients without a word of their own are then the driver's to decide.
 * OVER behind body_end and before VERDICT means that the message may or may
 * not have been taken.
 *
 * Nothing is sent behind the final dot before its reply is in: a reply to
 * something else must never be taken for it.
 */
#ifndef SMTP_CLIENT_H
#define SMTP_CLIENT_H

#include "relay/base/buf.h"
#include "relay/base/err.h"
#include "relay/mail/envelope.h"
#include "smtp/capability.h"
#include "smtp/reply.h"
#include "smtp/sasl_client.h"

enum {
    SMTP_CLIENT_RCPT_MAX = 100, /* of a transaction; RFC 5321 section
                                   4.5.3.1.8 */
};

enum smtp_client_tls {
    SMTP_CLIENT_TLS_NEVER,    /* do not even when offered (or TLS is already
                                 there: implicit) */
    SMTP_CLIENT_TLS_OFFERED,  /* when the server offers it */
    SMTP_CLIENT_TLS_REQUIRED, /* OVER with NO_STARTTLS when it does not */
};

/* Why a session is over, for the driver's decision what to try next. */
enum smtp_client_end {
    SMTP_CLIENT_END_QUIT,        /* we asked for it */
    SMTP_CLIENT_END_REFUSED,     /* the greeting or EHLO was 4yz or 5yz, or
                                    421 at any point: `reply` has it */
    SMTP_CLIENT_END_NO_STARTTLS, /* required and not offered, or refused, or
                                    EHLO is unknown to the server */
    SMTP_CLIENT_END_NO_AUTH,     /* no mechanism that fits is offered, or the
                                    server got its part of one wrong */
    SMTP_CLIENT_END_AUTH,        /* it does not take our word: `reply` has it,
                                    without what it repeats of ours */
    SMTP_CLIENT_END_PROTOCOL,    /* the peer broke the protocol */
};

enum smtp_client_event_kind {
    SMTP_CLIENT_START_TLS, /* do a TLS handshake, then call tls_up */
    SMTP_CLIENT_DERIVE,    /* AUTH wants slow work: do what
                              smtp_client_auth_work says, then call salted */
    SMTP_CLIENT_READY,     /* call mail or quit, or keep for later */
    SMTP_CLIENT_RCPT,      /* the server's word on recipient number `rcpt` */
    SMTP_CLIENT_BODY,      /* send the message by body, then body_end */
    SMTP_CLIENT_VERDICT,   /* the last word on the whole message, for all
                              recipients without a refusal of their own: the
                              reply to MAIL, DATA, a BDAT or the end of the
                              body.  It comes before body_end when a BDAT is
                              refused: send no more of the body.  There is
                              none when every recipient was refused */
    SMTP_CLIENT_OVER,      /* close the connection */
};

struct smtp_client_event {
    enum smtp_client_event_kind kind;
    size_t rcpt;                    /* RCPT: place in the list of the mail */
    const struct smtp_reply *reply; /* RCPT, VERDICT; OVER when a 4yz or 5yz
                                       was the cause; valid until the next
                                       feed or mail */
    const char *command;            /* what `reply` answers: "RCPT", ... */
    bool is_ours;                   /* VERDICT: the server was not asked */
    enum smtp_client_end end;       /* OVER */
    const struct err *err;          /* OVER, text for people; NULL after QUIT */
};

/* One transaction; what it points at is borrowed until VERDICT, READY or OVER.
 */
struct smtp_client_mail {
    const struct mail_envelope *envelope;
    const size_t *rcpt;    /* indices into envelope->rcpt */
    size_t rcpt_count;     /* 1 to SMTP_CLIENT_RCPT_MAX */
    uint64_t size;         /* octets of the message, canonical CRLF form; 0 when
                              nobody knows */
    bool has_8bit;         /* an octet above 127 anywhere in it */
    bool is_unconvertible; /* such octets can't be converted; else they were,
                              or will be, where 8BITMIME is not offered */
    bool is_header_ascii;  /* none in its header section; false: not known */
    bool may_lose_requiretls; /* it goes where the extension is not offered */
};

struct smtp_client;

struct smtp_client *smtp_client_new(const char *our_name,
                                    enum smtp_client_tls tls);
void smtp_client_free(struct smtp_client **c);

/* Before the first feed: no READY without AUTH.  The account is borrowed until
 * READY or OVER.  Never with TLS_OFFERED, which may mean none; with TLS_NEVER
 * the connection has it already.  (RFC 4954) */
void smtp_client_authenticate(struct smtp_client *c,
                              const struct smtp_sasl_account *account);

/* Uses at most one reply and returns how many octets that took.  Take the
 * events before feeding the rest. */
size_t smtp_client_feed(struct smtp_client *c, struct slice in);
void smtp_client_tls_up(struct smtp_client *c);

/* The work that DERIVE asks for, good until `salted`; and its result. */
struct smtp_sasl_client_work smtp_client_auth_work(const struct smtp_client *c);
void smtp_client_salted(struct smtp_client *c,
                        const uint8_t salted[SMTP_SASL_SCRAM_KEY]);

/*
 * Starts a transaction; only when READY.  What the server can't carry is
 * settled here without a word to it, by a VERDICT whose reply is ours and
 * READY behind it: 552 5.3.4 larger than its SIZE, 550 5.6.7 needs SMTPUTF8
 * (where only the domain of an address is not ASCII its A-label form will do),
 * 550 5.7.30 needs REQUIRETLS (a driver that knows better hosts looks at the
 * capability first), 554 5.6.3 can't be converted for a server without
 * 8BITMIME.  ENVID, RET, NOTIFY and ORCPT go only to a server that
 * offers DSN.
 */
void smtp_client_mail(struct smtp_client *c, const struct smtp_client_mail *m);

/* A piece of the message.  Canonical CRLF lines; stuffed for DATA, counted
 * for BDAT (each call is one chunk, so make the pieces large). */
void smtp_client_body(struct smtp_client *c, struct slice part);
void smtp_client_body_end(struct smtp_client *c);
void smtp_client_quit(struct smtp_client *c);

bool smtp_client_next(struct smtp_client *c, struct smtp_client_event *ev);
struct buf *smtp_client_output(struct smtp_client *c);

/* Seconds to wait for the reply owed next (RFC 5321 section 4.5.3.2), 180 for
 * a block of the body, 60 for the TLS handshake, 0 when the peer owes nothing.
 * The wait starts anew when the turn changes, not with every octet. */
unsigned smtp_client_wait_s(const struct smtp_client *c);
unsigned smtp_client_wait_turn(const struct smtp_client *c);

/* What the session is waiting for, for logs: "greeting", "EHLO", "RCPT". */
const char *smtp_client_step(const struct smtp_client *c);

/* True once the final dot or the last BDAT is out and unanswered. */
bool smtp_client_is_in_doubt(const struct smtp_client *c);
const struct smtp_capability *
smtp_client_capability(const struct smtp_client *c);

#endif
