/*
 * relay/base/err - why an operation failed.
 *
 * `kind` is for code, which branches on it; `text` is for people, who read it
 * in a log line and never compare it.  Text grows from the inside out: each
 * layer puts its own context in front, as in
 *
 *     mx1.example.net: STARTTLS: certificate has expired
 *
 * A refusal by a peer is no error but a result: see relay/mail/status.h.
 */
#ifndef RELAY_BASE_ERR_H
#define RELAY_BASE_ERR_H

#include <stdbool.h>

enum err_kind {
    ERR_NONE,
    ERR_INPUT,   /* what we were given breaks its grammar */
    ERR_LIMIT,   /* well formed, but more than we allow */
    ERR_MISSING, /* what was asked for does not exist */
    ERR_SYSTEM,  /* the operating system or a library refused */
    ERR_SPACE,   /* no room on the disk */
    ERR_TIMEOUT,
    ERR_CANCELLED,
    ERR_TLS, /* the handshake or the verification of a certificate failed */
};

struct err {
    enum err_kind kind;
    char text[240];
};

/* Records a failure and returns false, so that failing is one statement. */
bool err_set(struct err *e, enum err_kind kind, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* err_set(ERR_SYSTEM), or ERR_SPACE when errno says so, with the text of
 * errno behind it. */
bool err_errno(struct err *e, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Puts "context: " in front of the text that is there; returns false. */
bool err_in(struct err *e, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#endif
