/*
 * smtp/reply - reads SMTP replies out of a stream of octets.
 *
 * A reply is one or more lines with one three-digit code; a hyphen behind the
 * code says that more lines follow (RFC 5321 section 4.2.1).  Octets may come
 * in pieces of any size.  The reader allocates nothing.
 *
 * It is strict where leniency has lost mail: a line ends in CRLF and in
 * nothing else, and codes may not differ within a reply.
 */
#ifndef SMTP_REPLY_H
#define SMTP_REPLY_H

#include "relay/base/slice.h"

enum {
    SMTP_REPLY_LINE_MAX = 2048, /* RFC 5321 section 4.5.3.1.5 says 512; real
                                   servers send more */
    SMTP_REPLY_LINES_MAX = 100,
    SMTP_REPLY_OCTETS_MAX = 65536, /* read for one reply, kept or not */
    SMTP_REPLY_TEXT_MAX = 8192,    /* kept of one reply: an EHLO fits */
};

struct smtp_reply {
    int code;                           /* 200 to 599 */
    size_t len;                         /* of text, without the NUL */
    char text[SMTP_REPLY_TEXT_MAX + 1]; /* lines without code, '\n' between;
                                           raw: clean it before use */
};

enum smtp_reply_got {
    SMTP_REPLY_PART,  /* the input is used up, the reply not complete */
    SMTP_REPLY_WHOLE, /* a reply is complete; some input may be left */
    SMTP_REPLY_BAD,   /* no SMTP: the stream can't be read any further */
};

/* Zeroed storage is a reader at the start of a reply. */
struct smtp_reply_reader {
    struct smtp_reply reply;
    bool handed_out;
    size_t lines, octets;
    size_t line_len;
    char line[SMTP_REPLY_LINE_MAX];
};

/* Reads at most one reply off the front of `in` and moves `in` behind it.  On
 * WHOLE, r->reply is good until the next call. */
enum smtp_reply_got smtp_reply_read(struct smtp_reply_reader *r,
                                    struct slice *in);

#endif
