/*
 * relay/mail/encoder - the body of a part on its way out in another encoding.
 *
 * Told line by line.  The end of a line is held back until something comes
 * behind it: before a boundary it belongs to the boundary, not to the part (RFC
 * 2046 section 5.1.1).
 */
#ifndef RELAY_MAIL_ENCODER_H
#define RELAY_MAIL_ENCODER_H

#include "relay/base/buf.h"

enum mail_encoding {
    MAIL_ENCODING_NONE,   /* as it is */
    MAIL_ENCODING_MASK,   /* '?' for each octet above 127 */
    MAIL_ENCODING_QP,     /* quoted-printable */
    MAIL_ENCODING_QP_FIX, /* what is quoted-printable but for such octets */
    MAIL_ENCODING_BASE64,
};

struct mail_encoder {
    enum mail_encoding encoding;
    bool has_end;  /* of a line is held back */
    size_t column; /* of the line that is being written */
    size_t carried;
    char carry[3]; /* base64: octets that do not make a whole yet */
};

/* Zeroed but for its encoding: at the beginning of a body. */

/* The next octets of a line; `ends`: and its CRLF, which is not among them. */
void mail_encoder_add(struct mail_encoder *e, struct slice octets, bool ends,
                      struct buf *out);

/* The end of the body.  With `in_part` a boundary follows, at the beginning of
 * a line. */
void mail_encoder_end(struct mail_encoder *e, bool in_part, struct buf *out);

#endif
