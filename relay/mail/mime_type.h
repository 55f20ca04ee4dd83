/*
 * relay/mail/mime_type - what a Content-Type field says (RFC 2045 section 5.1),
 * as far as it decides how the parts of a message are found.
 *
 * Forgiving, as readers are: what can't be told is a leaf of no known type.
 */
#ifndef RELAY_MAIL_MIME_TYPE_H
#define RELAY_MAIL_MIME_TYPE_H

#include "relay/base/slice.h"

enum {
    MAIL_MIME_BOUNDARY_MAX = 200, /* octets; RFC 2046 section 5.1.1 has 70 */
};

enum mail_mime_kind {
    MAIL_MIME_TEXT,
    MAIL_MIME_OTHER,     /* any other leaf */
    MAIL_MIME_MULTIPART, /* with a boundary that can be used */
    MAIL_MIME_MESSAGE,   /* message/rfc822: a whole message inside */
    MAIL_MIME_OPAQUE,    /* made of parts that can't be found, or that must not
                            be touched: message/partial and the like, a
                            multipart without a boundary */
};

struct mail_mime_type {
    enum mail_mime_kind kind;
    bool is_signed; /* multipart/signed: not an octet inside may change */
    bool is_digest; /* its parts are messages unless they say otherwise */
    size_t boundary_len;
    char boundary[MAIL_MIME_BOUNDARY_MAX];
};

/* `value` is all that stands behind the colon. */
void mail_mime_type_parse(struct slice value, struct mail_mime_type *out);

#endif
