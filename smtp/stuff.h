/*
 * smtp/stuff - writes a message as the DATA of SMTP.
 *
 * A dot at the start of a line gets another in front, and a line of one dot
 * ends the message (RFC 5321 section 4.5.2).  Messages are canonical, CRLF and
 * no other CR or LF; should one not be, a dot behind its bare CR or LF is
 * doubled too, so that no reader, however lenient, sees an end where none is.
 */
#ifndef SMTP_STUFF_H
#define SMTP_STUFF_H

#include "relay/base/buf.h"

/* Zeroed storage is a writer at the start of a message. */
struct smtp_stuff {
    enum {
        SMTP_STUFF_START, /* of a line */
        SMTP_STUFF_INSIDE,
        SMTP_STUFF_CR,
        SMTP_STUFF_BARE_LF,
    } place;
};

/* Appends a piece of the message, of any size, to `out`. */
void smtp_stuff_add(struct smtp_stuff *s, struct slice part, struct buf *out);

/* Appends the end of the message, with the CRLF in front that its last line
 * may lack.  The writer is then at the start of the next message. */
void smtp_stuff_end(struct smtp_stuff *s, struct buf *out);

#endif
