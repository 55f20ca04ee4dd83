/* relay/mail/dkim_inside - what the files dkim*.c share. */
#ifndef RELAY_MAIL_DKIM_INSIDE_H
#define RELAY_MAIL_DKIM_INSIDE_H

#include "relay/mail/dkim.h"

/* Aborts: OpenSSL refuses such a call only without memory. */
void mail_dkim_need(bool ok);

/* Appends the base64 form; line breaks are the caller's. */
void mail_dkim_base64(struct slice bytes, struct buf *out);

/* Appends the signature of `data`, raw. */
void mail_dkim_key_sign(const struct mail_dkim_key *k, struct slice data,
                        struct buf *out);

#endif
