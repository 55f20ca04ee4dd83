/*
 * relay/mail/envelope - who sends to whom, and what was asked for.
 *
 * All strings belong to the envelope.  Addresses are in the form of
 * relay/mail/address.h: safe to write to the wire as they stand.
 */
#ifndef RELAY_MAIL_ENVELOPE_H
#define RELAY_MAIL_ENVELOPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* RET of RFC 3461 section 4.3 */
enum mail_ret { MAIL_RET_NONE, MAIL_RET_FULL, MAIL_RET_HDRS };

/* NOTIFY of RFC 3461 section 4.1; 0: the client did not say */
enum mail_notify {
    MAIL_NOTIFY_NEVER = 1,
    MAIL_NOTIFY_SUCCESS = 2,
    MAIL_NOTIFY_FAILURE = 4,
    MAIL_NOTIFY_DELAY = 8,
};

struct mail_rcpt {
    char *address; /* "local@domain" */
    char *domain;  /* A-label form, lower case; "[192.0.2.1]" for a literal */
    char *orcpt;   /* "rfc822;address" in plain text, xtext decoded; or NULL */
    uint8_t notify;
};

struct mail_envelope {
    char *from;  /* "" is the null reverse-path */
    char *envid; /* xtext decoded; or NULL */
    enum mail_ret ret;
    bool body_8bit;  /* BODY=8BITMIME was declared (RFC 6152) */
    bool smtputf8;   /* RFC 6531 */
    bool requiretls; /* RFC 8689 */
    struct mail_rcpt *rcpt;
    size_t rcpt_count;
};

/* A new recipient at the end; its fields are the caller's to fill with heap
 * strings.  Good until the next add. */
struct mail_rcpt *mail_envelope_add(struct mail_envelope *e);

/* Drops all recipients behind the first `count`. */
void mail_envelope_cut(struct mail_envelope *e, size_t count);

/* Must every host on the way keep REQUIRETLS, or the mail not go there?  Mail
 * with a null reverse-path asks for it where it can be had: RFC 8689 section
 * 5. */
bool mail_envelope_demands_requiretls(const struct mail_envelope *e);

/* Releases all strings and the list; leaves an empty envelope. */
void mail_envelope_done(struct mail_envelope *e);

#endif
