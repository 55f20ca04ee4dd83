/*
 * relay/cli/letter - a message as somebody typed or a program wrote it, made
 * into one that can go on its way: canonical CRLF lines, a From field, no Bcc.
 *
 * Date and Message-ID are the relay's to add.
 */
#ifndef RELAY_CLI_LETTER_H
#define RELAY_CLI_LETTER_H

#include "relay/base/buf.h"
#include "relay/mail/address_list.h"

enum { CLI_LETTER_MAX = 1 << 30 }; /* octets of a message; our own */

/* Turns any line ends into CRLF and ends the last line; unless `dots`, a line
 * that is a single dot ends the message. */
void cli_letter_lines(struct slice in, bool dots, struct buf *out);

struct cli_letter_wish {
    bool take_recipients; /* tell those of To, Cc, Bcc; drop Bcc */
    const char *from;     /* for a From field, where there is none */
    const char *name;     /* full name for it; NULL none */
};

/* `in` has canonical lines.  Recipients are told in the order of the fields;
 * those of Resent- fields alone when there are such (RFC 5322 section
 * 3.6.6). */
void cli_letter_make(struct slice in, const struct cli_letter_wish *wish,
                     mail_address_list_fn *each, void *ctx, struct buf *out);

bool cli_letter_has_8bit(struct slice in);

#endif
