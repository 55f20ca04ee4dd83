/*
 * relay/cli/smtp_socket - a blocking connection to the relay's SMTP port:
 * $SEALPOST_SMTP ("127.0.0.1:2525", "unix:/path"), else the first listener of
 * the configuration that takes mail in clear, else 127.0.0.1:2525.
 */
#ifndef RELAY_CLI_SMTP_SOCKET_H
#define RELAY_CLI_SMTP_SOCKET_H

#include "relay/base/buf.h"
#include "relay/config/config.h"

enum { CLI_SMTP_CONNECT_S = 30 };

/* `c` may be NULL.  *where names what was tried, also after a failure: a heap
 * string.  `is_private`: only a Unix socket will do; ERR_MISSING: there is
 * none. */
bool cli_smtp_open(const struct config *c, bool is_private, int *fd,
                   char **where, struct err *err) must_use;
bool cli_smtp_send(int fd, struct buf *out, struct err *err) must_use;

#endif
