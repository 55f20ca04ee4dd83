/*
 * relay/cli/drop - leaves a message in the maildrop, for the relay to take in
 * when it runs: see relay/daemon/maildrop_scan.h.
 *
 * When it returns true the message is synced to the disk.
 */
#ifndef RELAY_CLI_DROP_H
#define RELAY_CLI_DROP_H

#include "relay/base/err.h"
#include "relay/base/own.h"
#include "relay/base/slice.h"
#include "relay/mail/envelope.h"

enum {
    CLI_DROP_RCPT_MAX = 100,  /* recipients of a file; others get another */
    CLI_DROP_FILES_MAX = 200, /* of one message */
};

/* All recipients or none, but for a failure between the last steps of several
 * files; `message` has canonical lines and no NUL.  `our_name` is for EHLO.
 * *path, the caller's, names the (first) file. */
bool cli_drop(const char *directory, const char *our_name,
              const struct mail_envelope *envelope, struct slice message,
              char **path, struct err *err) must_use;

#endif
