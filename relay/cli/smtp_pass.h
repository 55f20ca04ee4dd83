/*
 * relay/cli/smtp_pass - SMTP on stdin and stdout (sendmail -bs), passed on to
 * the relay.
 *
 * One command at a time goes out, the next when its reply is in: so also a
 * dialog that was piped in whole comes through, although the relay wants
 * pipelining to be in order.
 */
#ifndef RELAY_CLI_SMTP_PASS_H
#define RELAY_CLI_SMTP_PASS_H

#include "relay/base/err.h"
#include "relay/base/own.h"

/* Until the relay ends the session. */
bool cli_smtp_pass(int fd, struct err *err) must_use;

#endif
