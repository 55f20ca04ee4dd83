/* relay/mail/xtext - the encoding of ENVID and ORCPT (RFC 3461 section 4). */
#ifndef RELAY_MAIL_XTEXT_H
#define RELAY_MAIL_XTEXT_H

#include "relay/base/buf.h"

/* Appends the decoded bytes; false, with nothing appended, when `text` is not
 * xtext, or when it hides a NUL, another control character or broken UTF-8. */
bool mail_xtext_decode(struct slice text, struct buf *out);
void mail_xtext_encode(struct slice bytes, struct buf *out);

/* utf-8-addr-xtext or utf-8-addr-unitext of RFC 6533 section 3, as found in
 * ORCPT=utf-8;... */
bool mail_xtext_decode_utf8(struct slice text, struct buf *out);

/* Appends the utf-8-addr-xtext form, which is ASCII and so needs no SMTPUTF8;
 * a stray octet becomes a question mark. */
void mail_xtext_encode_utf8(struct slice text, struct buf *out);

#endif
