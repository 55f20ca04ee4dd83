/*
 * smtp/command - takes command lines off a stream and tells verb from
 * arguments.  What the arguments mean is for others to say.
 *
 * A line ends in CRLF and in nothing else; a CR or LF of its own anywhere
 * means that the peer does not count lines as we do, and nothing behind it can
 * be trusted (RFC 5321 section 2.3.8).
 */
#ifndef SMTP_COMMAND_H
#define SMTP_COMMAND_H

#include "relay/base/own.h"
#include "relay/base/slice.h"

enum {
    SMTP_COMMAND_MAX = 2048, /* octets with CRLF; RFC 5321 section 4.5.3.1.4
                                asks for 512, extensions for more */
};

enum smtp_command_got {
    SMTP_COMMAND_PART,  /* the input is used up, the line not complete */
    SMTP_COMMAND_WHOLE, /* a line is complete; some input may be left */
    SMTP_COMMAND_LONG,  /* no end of line within the limit */
    SMTP_COMMAND_BARE,  /* a CR without LF, or an LF without CR */
};

/* Zeroed storage is a reader at the start of a line. */
struct smtp_command_reader {
    size_t len; /* octets of a line begun */
    char line[SMTP_COMMAND_MAX];
};

/* Reads at most one line off the front of `in` and moves `in` behind it.  On
 * WHOLE, `line` has it without CRLF: a part of the input or of the reader, good
 * until either changes.  LONG and BARE are final. */
enum smtp_command_got smtp_command_read(struct smtp_command_reader *r,
                                        struct slice *in, struct slice *line);

/* The same for lines of another length, with `*len` octets of one begun in
 * `store`. */
enum smtp_command_got smtp_command_read_to(char *store, size_t room,
                                           size_t *len, struct slice *in,
                                           struct slice *line);

struct smtp_command {
    struct slice verb; /* up to the first space; may be empty */
    struct slice args; /* the rest, without spaces at either end */
};

/* False when the line holds a control character; octets above 127 pass. */
bool smtp_command_parse(struct slice line, struct smtp_command *out) must_use;

#endif
