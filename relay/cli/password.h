/*
 * relay/cli/password - a password from somebody who types it, unseen and twice,
 * or the first line of the standard input.
 *
 * Never from the command line, which everybody can read.
 */
#ifndef RELAY_CLI_PASSWORD_H
#define RELAY_CLI_PASSWORD_H

#include "relay/base/buf.h"
#include "relay/base/err.h"
#include "relay/base/own.h"

/* Into an empty buf, for secret_buf_free. */
bool cli_password_read(const char *user, struct buf *out,
                       struct err *err) must_use;

#endif
