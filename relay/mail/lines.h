/*
 * relay/mail/lines - text from a client that knows no SMTP, made into lines.
 *
 * A line ends in CRLF, or in LF alone; what comes out has CRLF throughout, the
 * last line too.  A message with a NUL, with a CR anywhere else or with a line
 * that no server would take is refused: passed on, it could be read in two ways
 * (RFC 5321 section 2.3.8).
 */
#ifndef RELAY_MAIL_LINES_H
#define RELAY_MAIL_LINES_H

#include "relay/base/buf.h"
#include "relay/base/err.h"
#include "relay/base/own.h"

#include <stdint.h>

enum {
    MAIL_LINES_MAX = 65536, /* octets of a line with its CRLF; as by SMTP */
};

/* Zeroed storage is at the beginning. */
struct mail_lines {
    uint64_t count; /* lines that have ended */
    size_t length;  /* of the line under way */
    bool has_cr;    /* is held back, for the LF behind it */
};

/* Appends what the next octets become.  ERR_INPUT: they are no mail. */
bool mail_lines_add(struct mail_lines *l, struct slice in, struct buf *out,
                    struct err *err) must_use;
/* Behind the last octet. */
bool mail_lines_end(struct mail_lines *l, struct buf *out,
                    struct err *err) must_use;

#endif
