/*
 * smtp/unstuff - reads the body of a message off the wire, by DATA or by BDAT.
 *
 * The end of DATA is CRLF.CRLF, the first CRLF being the one of the last line
 * or of DATA itself, and nothing else (RFC 5321 section 4.1.1.4).  A bare CR,
 * a bare LF or a NUL never ends or begins a line; it is noted as a flaw, and
 * reading goes on to the real end, so that no octet of the message is ever
 * taken for a command.
 *
 * Nothing is copied: what comes out are pieces of what went in.  They are the
 * message only while there is no flaw.
 */
#ifndef SMTP_UNSTUFF_H
#define SMTP_UNSTUFF_H

#include "relay/base/slice.h"

#include <stdint.h>

enum {
    SMTP_UNSTUFF_LINE_MAX = 65536, /* octets with CRLF, dot removed; our own,
                                      RFC 5321 section 4.5.3.1.6 asks for
                                      1000 */
};

enum smtp_unstuff_flaw {
    SMTP_UNSTUFF_BARE_CR = 1,
    SMTP_UNSTUFF_BARE_LF = 2,
    SMTP_UNSTUFF_NUL = 4,
    SMTP_UNSTUFF_LONG_LINE = 8,
};

/* Where in a line the next octet stands. */
enum smtp_unstuff_place {
    SMTP_UNSTUFF_START,  /* behind CRLF, or first of all */
    SMTP_UNSTUFF_WITHIN, /* anywhere else */
    SMTP_UNSTUFF_CR,     /* behind a CR */
    SMTP_UNSTUFF_DOT,    /* behind a dot at the start */
    SMTP_UNSTUFF_DOT_CR, /* behind such a dot and a CR */
};

/* Zeroed storage is a reader at the first octet. */
struct smtp_unstuff {
    enum smtp_unstuff_place place;
    unsigned flaws;  /* set of enum smtp_unstuff_flaw */
    size_t line_len; /* of the line under way */
    uint64_t octets; /* of the message so far */
};

/* DATA: takes octets off the front of `in` up to the next dot that has to go,
 * to the end of the message (then true), or all.  `piece`, maybe empty, is the
 * part of the message among them. */
bool smtp_unstuff_data(struct smtp_unstuff *u, struct slice *in,
                       struct slice *piece);

/* BDAT: the octets are the message, dots and all.  Lines may run on from chunk
 * to chunk. */
void smtp_unstuff_chunk(struct smtp_unstuff *u, struct slice chunk);

/* The last chunk is in: a CR still alone becomes a flaw.  True when the last
 * line lacks its CRLF. */
bool smtp_unstuff_chunks_end(struct smtp_unstuff *u);

#endif
