/*
 * relay/mail/status - the outcome of an SMTP command as a value.
 *
 * A refusal is a result, not an error: it travels from reply to queue to
 * delivery status notification.  A struct err says "we do not know what the
 * server thinks"; a mail_status says what it thinks.
 */
#ifndef RELAY_MAIL_STATUS_H
#define RELAY_MAIL_STATUS_H

#include "relay/base/slice.h"

enum { MAIL_STATUS_TEXT_MAX = 1024 }; /* what is kept of a reply; our own */

/* code is 200 to 599; klass, subject and detail are the enhanced status code
 * of RFC 3463, klass 0 when there is none. */
struct mail_status {
    bool is_reply; /* a peer said it; else we did */
    int code;
    int klass, subject, detail;
    /* Printable ASCII or UTF-8, lines joined by a space: never CR, LF or
     * another control character.  Without the codes. */
    char text[MAIL_STATUS_TEXT_MAX + 1];
};

/* Our own status: code 451, enhanced "4.3.0".  The text is cleaned. */
void mail_status_set(struct mail_status *s, int code, const char *enhanced,
                     const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* From a peer's reply: text is its lines joined by '\n', codes removed.  An
 * enhanced code at the front is split off when it is well formed and its
 * class agrees with the code's first digit, else it stays text (RFC 2034). */
void mail_status_from_reply(struct mail_status *s, int code, struct slice text);

bool mail_status_is_success(const struct mail_status *s);   /* 2yz */
bool mail_status_is_transient(const struct mail_status *s); /* 4yz */
bool mail_status_is_permanent(const struct mail_status *s); /* 5yz */

/* A peer's way to say that it gets too much at a time: 421, 454, 4.7.x (too
 * fast, too many), 4.3.2 (not now), 4.4.5 (congestion).  RFC 3463, and the
 * habits of large receivers. */
bool mail_status_is_throttling(const struct mail_status *s);

/* "4.4.1", or "4.0.0" made from the code when it had none. */
const char *mail_status_enhanced(const struct mail_status *s, char out[16]);

#endif
