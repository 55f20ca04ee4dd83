/*
 * relay/cli/submit - hands one message to the relay by SMTP: all recipients or
 * none of a transaction.
 */
#ifndef RELAY_CLI_SUBMIT_H
#define RELAY_CLI_SUBMIT_H

#include "relay/mail/envelope.h"

#include "relay/base/slice.h"

/* Over a connection that is open and has said nothing yet.  The exit code:
 * EX_OK only when every recipient was accepted; else the reasons are on
 * stderr.  `verbose`: the replies too.  *begun: the relay came as far as being
 * told of the message. */
int cli_submit(int fd, const char *our_name,
               const struct mail_envelope *envelope, struct slice message,
               bool verbose, bool *begun);

#endif
