/*
 * relay/cli/letter - a message as somebody typed or a program wrote it, made
 * into one that can go on its way: canonical CRLF lines, a From field, no Bcc.
 *
 * Date and Message-ID are the relay's to add.
 */
#ifndef RELAY_CLI_LETTER_H
#define RELAY_CLI_LETTER_H

#include "relay/base/buf.h"
#include "relay/base/err.h"
#include "relay/base/own.h"

enum { CLI_LETTER_MAX = 1 << 30 }; /* octets of a message; our own */

/* Turns any line ends into CRLF and ends the last line; unless `dots`, a line
 * that is a single dot ends the message. */
void cli_letter_lines(struct slice in, bool dots, struct buf *out);

struct cli_letter_wish {
    bool take_recipients; /* tell those of To, Cc, Bcc; drop Bcc */
    const char *from;     /* for a From field, where there is none */
    const char *name;     /* full name for it; NULL none */
};

/* `address` is good during the call. */
typedef void cli_letter_fn(void *ctx, const char *address);

/* Tells every address of a list as people write it (RFC 5322 section 3.4), in
 * order.  ERR_INPUT: something in it is none. */
bool cli_letter_list(struct slice list, cli_letter_fn *each, void *ctx,
                     struct err *err) must_use;

/* `in` has canonical lines.  Recipients are told in the order of the fields;
 * those of Resent- fields alone when there are such (RFC 5322 section
 * 3.6.6).  ERR_INPUT: one of these fields can't be read. */
bool cli_letter_make(struct slice in, const struct cli_letter_wish *wish,
                     cli_letter_fn *each, void *ctx, struct buf *out,
                     struct err *err) must_use;

bool cli_letter_has_8bit(struct slice in);

#endif
