/*
 * queue/bounce_text - the words and the fields of a notice.
 *
 * Everything that came from strangers passes through here: what comes out is
 * printable, in lines of bounded length, and never starts a line or a field of
 * its own.
 */
#ifndef QUEUE_BOUNCE_TEXT_H
#define QUEUE_BOUNCE_TEXT_H

#include "queue/bounce.h"

/* "Name: value CRLF", folded.  Without `utf8`, what is not ASCII becomes a
 * question mark. */
void queue_bounce_field(struct buf *out, bool utf8, const char *name,
                        const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* The part for people: what happened to whom, why, and what to do now. */
void queue_bounce_explain(const struct queue_bounce *b, struct buf *out);

#endif
