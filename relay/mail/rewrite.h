/*
 * relay/mail/rewrite - senders that become others.
 *
 * The sender map goes first; an address that it does not know gets the domain
 * that all senders are to have, if there is one.
 */
#ifndef RELAY_MAIL_REWRITE_H
#define RELAY_MAIL_REWRITE_H

#include "relay/base/buf.h"
#include "relay/mail/sender_map.h"

/* What is rewritten: zeroed, nothing. */
struct mail_rewrite {
    const struct mail_sender_map *map; /* or NULL */
    const char *from_domain;           /* A-label form; or NULL, or "" */
    const char *hostname; /* the domain of a sender that has none */
};

enum mail_rewrite_class {
    MAIL_REWRITE_SENDER, /* who sends: the envelope, From, Sender */
    MAIL_REWRITE_REPLY,  /* where answers go: by what the map says of just
                            this address or domain, not by what is meant for
                            all, as it may lead to somebody else */
};

/* What the address becomes; false: it stays as it is. */
bool mail_rewrite_address(const struct mail_rewrite *r,
                          enum mail_rewrite_class class, const char *address,
                          struct mail_address *out);

/* Appends the value of a field with its addresses rewritten and every other
 * octet as it was; false, and nothing is appended, when none is another. */
bool mail_rewrite_field(const struct mail_rewrite *r,
                        enum mail_rewrite_class class, struct slice value,
                        struct buf *out);

#endif
