/* relay/mail/xtext - the encoding of ENVID and ORCPT (RFC 3461 section 4). */
#ifndef RELAY_MAIL_XTEXT_H
#define RELAY_MAIL_XTEXT_H

#include "relay/base/buf.h"

/* Appends the decoded bytes; false when `text` is not xtext, or when it hides
 * a NUL or another control character. */
bool mail_xtext_decode(struct slice text, struct buf *out);
void mail_xtext_encode(struct slice bytes, struct buf *out);

/* utf-8-addr-xtext or utf-8-addr-unitext of RFC 6533 section 3, as found in
 * ORCPT=utf-8;... */
bool mail_xtext_decode_utf8(struct slice text, struct buf *out);

#endif
