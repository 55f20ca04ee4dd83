/*
 * smtp/session - what one server session is, and the few things that may be
 * done to it.  Private to the server engine: server.c is told things, verb.c
 * carries out commands, auth.c lets clients log in, intake.c receives bodies.
 *
 * Every handler returns whose turn it is; smtp_session_settle checks that the
 * claim is true, so that a branch that forgot to answer or to ask is found by
 * the first test that meets it.
 */
#ifndef SMTP_SESSION_H
#define SMTP_SESSION_H

#include "smtp/command.h"
#include "smtp/sasl_server.h"
#include "smtp/server.h"
#include "smtp/unstuff.h"

enum { SMTP_SESSION_HELO_MAX = 255 };

/* What may come next, of commands. */
enum smtp_session_state {
    SMTP_SESSION_NEW,   /* no EHLO or HELO since the banner or since TLS */
    SMTP_SESSION_READY, /* no transaction */
    SMTP_SESSION_MAIL,  /* a sender, no recipient */
    SMTP_SESSION_RCPT,  /* recipients */
    SMTP_SESSION_BDAT,  /* between two chunks of a message */
};

/* What the next octets are. */
enum smtp_session_mode {
    SMTP_SESSION_COMMANDS,
    SMTP_SESSION_DATA,  /* body, up to CRLF.CRLF */
    SMTP_SESSION_CHUNK, /* body, `left` octets */
    SMTP_SESSION_SKIP,  /* `left` octets of a refused chunk */
    SMTP_SESSION_AUTH,  /* a response, up to CRLF */
};

/* What the driver owes. */
enum smtp_session_ask {
    SMTP_SESSION_ASK_NOTHING,
    SMTP_SESSION_ASK_GREET,
    SMTP_SESSION_ASK_TLS,
    SMTP_SESSION_ASK_MAIL,
    SMTP_SESSION_ASK_RCPT,
    SMTP_SESSION_ASK_DATA,
    SMTP_SESSION_ASK_BDAT, /* DATA's question, asked by the first BDAT */
    SMTP_SESSION_ASK_END,
    SMTP_SESSION_ASK_VERIFIER,
    SMTP_SESSION_ASK_AUTH,
};

enum smtp_session_turn {
    SMTP_SESSION_PEER,
    SMTP_SESSION_DRIVER,
    SMTP_SESSION_NOBODY, /* the session is over */
};

/* What the peer is given time for; a row of limits in server.c. */
enum smtp_session_wait {
    SMTP_SESSION_WAIT_NOT,
    SMTP_SESSION_WAIT_EHLO,
    SMTP_SESSION_WAIT_IDLE,
    SMTP_SESSION_WAIT_QUIT,
    SMTP_SESSION_WAIT_LINE,
    SMTP_SESSION_WAIT_BODY,
    SMTP_SESSION_WAIT_TLS,
};

struct smtp_session_auth {
    char *user; /* who has logged in; NULL: nobody */
    unsigned failures;
    bool has_binding; /* TLS has something to bind to */
    uint8_t binding[SMTP_SASL_BINDING];

    /* Of an exchange under way. */
    struct smtp_sasl_server sasl;
    const char *mechanism;
    char *line; /* SMTP_SASL_LINE_MAX octets of room; NULL: there is none */
    size_t len; /* octets of a line begun */
};

struct smtp_server {
    struct smtp_server_config config; /* hostname is ours */
    bool is_tls, is_esmtp;
    char helo[SMTP_SESSION_HELO_MAX + 1];
    char too_large[80]; /* the reply that names the limit */

    enum smtp_session_state state;
    enum smtp_session_mode mode;
    enum smtp_session_ask asked;
    enum smtp_session_turn turn;
    enum smtp_session_wait wait;
    unsigned wait_turn;
    unsigned errors, junk; /* since the last message taken */
    unsigned replies;
    bool has_taken; /* a message; and the client has said nothing since */

    struct smtp_command_reader reader;
    struct smtp_session_auth auth;

    struct mail_envelope envelope;
    struct mail_rcpt rcpt;       /* asked about */
    struct mail_address address; /* asked about */

    struct smtp_unstuff unstuff;
    uint64_t left;      /* octets of the chunk still to come */
    bool last;          /* it is the last one */
    bool body_open;     /* the driver holds, or is about to hold, a part of a
                           body: END or DROP is owed to it */
    bool early;         /* octets came behind DATA before its answer */
    struct buf refusal; /* of the chunk being skipped */

    struct buf farewell; /* the reply that smtp_server_shut ordered */
    char *farewell_why;

    struct buf out;
    struct smtp_server_event events[4]; /* no call causes more */
    size_t event_first, event_count;
};

struct smtp_server_event *smtp_session_event(struct smtp_server *s,
                                             enum smtp_server_event_kind kind);

/* `line`: code, enhanced code and text; CRLF is added. */
void smtp_session_reply(struct smtp_server *s, const char *line);
void smtp_session_reply_status(struct smtp_server *s,
                               const struct mail_status *status);

/* Appends what smtp_session_reply_status would send, without CRLF. */
void smtp_session_format(const struct smtp_server *s,
                         const struct mail_status *status, struct buf *out);

/* Waits for the driver, whom an event has told for what. */
enum smtp_session_turn smtp_session_ask(struct smtp_server *s,
                                        enum smtp_session_ask what);

/* Tells the driver to forget a body it holds a part of. */
void smtp_session_drop(struct smtp_server *s, const char *why);

/* Forgets the recipient that was asked about, or would have been. */
void smtp_session_forget_rcpt(struct smtp_server *s);

/* The one way out of a transaction: whatever it was, nothing of it is left.
 * `why` is for the DROP event of a body that did not end. */
void smtp_session_reset(struct smtp_server *s, const char *why);

/* Ends the session with a reply (NULL for none). */
enum smtp_session_turn smtp_session_close(struct smtp_server *s,
                                          const char *line, const char *why);

/* Takes the turn that a handler claims, ends a session that has used up its
 * patience or was told to end, and sets the time limit.  `fresh`: a command
 * was completed, so that the time for the next one starts anew. */
void smtp_session_settle(struct smtp_server *s, enum smtp_session_turn turn,
                         bool fresh);

#endif
