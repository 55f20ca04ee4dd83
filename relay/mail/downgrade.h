/*
 * relay/mail/downgrade - a message with octets above 127 made fit for a server
 * that takes none (RFC 6152 section 3), by the parts of MIME.
 *
 * Goes over the message twice, each time from its first octet in pieces of any
 * size, and keeps no more of it than a line:
 *
 *     feed.. -> turn -> feed.. -> end
 *     (looks)           (converts)
 *
 * A leaf with such octets becomes quoted-printable when it is text, base64 when
 * it is not; what it decodes to is what it was.  What stands in no part, before
 * the first and behind the last, gets '?' for each.  All other parts stay octet
 * for octet, and so do header sections: an octet above 127 there can't be
 * encoded by this means.
 *
 * Refused is what may not be changed or can't be understood: content of
 * multipart/signed, multiparts without a boundary, encodings that are not
 * known.  A DKIM signature of the body does not survive; whoever verifies takes
 * the message for unsigned (RFC 6376 section 6.1).
 */
#ifndef RELAY_MAIL_DOWNGRADE_H
#define RELAY_MAIL_DOWNGRADE_H

#include "relay/base/buf.h"
#include "relay/base/err.h"
#include "relay/base/own.h"

enum {
    MAIL_DOWNGRADE_PARTS_MAX = 4096,
    MAIL_DOWNGRADE_DEPTH_MAX = 16,   /* of parts in parts */
    MAIL_DOWNGRADE_LINE_MAX = 65536, /* octets kept of a line; a longer one is
                                        no boundary */
    MAIL_DOWNGRADE_VALUE_MAX = 4096, /* octets of a field that is looked at */
};

struct mail_downgrade;

struct mail_downgrade *mail_downgrade_new(void);
void mail_downgrade_free(struct mail_downgrade **d);

/* The next octets, canonical CRLF lines.  The first time nothing is appended to
 * `out`, which may be NULL. */
void mail_downgrade_feed(struct mail_downgrade *d, struct slice in,
                         struct buf *out);

/* The end of the first time, and back to the first octet.  ERR_INPUT: the
 * message can't be converted, with a reason fit for a reply. */
bool mail_downgrade_turn(struct mail_downgrade *d, struct err *err) must_use;

/* The end of the second time: appends what is still held back. */
void mail_downgrade_end(struct mail_downgrade *d, struct buf *out);

#endif
