/*
 * relay/mail/hygiene - makes of a header section what it has to be before it
 * goes out (RFC 6409 section 8).
 *
 * Adds what lacks, takes out what is nobody's business, rewrites senders.
 * Every field that no rule is about stays octet for octet as it was.
 *
 * Nothing is added to a message that has a DKIM-Signature: it may have signed
 * that the field is absent (RFC 6376 section 5.4.2).
 */
#ifndef RELAY_MAIL_HYGIENE_H
#define RELAY_MAIL_HYGIENE_H

#include "relay/mail/rewrite.h"

struct mail_hygiene {
    /* The values of Date, Message-ID and From where there is none; NULL: the
     * field is not added. */
    const char *date, *message_id, *from;
    bool strip_received;  /* Received fields go, but for our own: by these a
                             loop is found */
    const char *hostname; /* whose Received is our own */
    struct mail_rewrite rewrite;
};

/* Bcc and Resent-Bcc always go (RFC 5322 section 3.6.3).  True: `out` has
 * another section now; false: it may stay as it is. */
bool mail_hygiene(struct slice section, const struct mail_hygiene *rules,
                  struct buf *out);

#endif
