/*
 * smtp/request - the MAIL and RCPT lines of a transaction.
 *
 * Asks for what the envelope wants as far as the server offers it, and never
 * for more.  An envelope holds values that are safe on the wire, so no line
 * here can be made to hold another.
 */
#ifndef SMTP_REQUEST_H
#define SMTP_REQUEST_H

#include "relay/base/buf.h"
#include "smtp/capability.h"

struct mail_rcpt;
struct smtp_client_mail;

/* Why a server can't be asked at all, as the reply it might have given. */
struct smtp_request_obstacle {
    int code;
    const char *text; /* with its enhanced code */
};

/* NULL when nothing stands in the way. */
const struct smtp_request_obstacle *
smtp_request_find_obstacle(const struct smtp_capability *offer,
                           const struct smtp_client_mail *m);

/* An address that a server without SMTPUTF8 can be told in no way. */
bool smtp_request_is_international(const char *address);

void smtp_request_add_mail(const struct smtp_capability *offer,
                           const struct smtp_client_mail *m, struct buf *out);
void smtp_request_add_rcpt(const struct smtp_capability *offer,
                           const struct mail_rcpt *rcpt, struct buf *out);

#endif
