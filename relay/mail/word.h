/*
 * relay/mail/word - text as the value of a header field.
 *
 * What is plain stays; what a field can't hold as it is, or what would be taken
 * for something else, becomes encoded words of UTF-8 (RFC 2047).  Lines are
 * folded at 76 octets.  Whatever goes in, no line of a field's comes out that
 * is not one.
 */
#ifndef RELAY_MAIL_WORD_H
#define RELAY_MAIL_WORD_H

#include "relay/base/buf.h"

enum {
    MAIL_WORD_MAX = 75, /* octets of an encoded word; RFC 2047 section 2 */
    MAIL_WORD_LINE = 76,
};

/* Both append behind a field's name, or what else stands in its line. */

/* Where any text may stand, as in Subject. */
void mail_word_text(struct slice text, struct buf *out);

/* Where a name stands in front of an address (RFC 5322 section 3.2.5). */
void mail_word_phrase(struct slice name, struct buf *out);

/* Octets in the last line of `out`. */
size_t mail_word_column(const struct buf *out);

#endif
