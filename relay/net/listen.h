/*
 * relay/net/listen - listening sockets, TCP and Unix.
 *
 * Accepted descriptors are handed to the owner, who gives them to a worker;
 * the listener itself never speaks.
 */
#ifndef RELAY_NET_LISTEN_H
#define RELAY_NET_LISTEN_H

#include "relay/base/addr.h"
#include "relay/base/err.h"
#include "relay/base/own.h"

#include <uv.h>

struct net_listen;

/* fd is the callee's; peer has family AF_UNSPEC for a Unix socket. */
typedef void net_listen_fn(void *ctx, int fd, const struct addr *peer);

/* `where`: "127.0.0.1:2525", "[::]:25" (both families), "unix:/run/x.sock"
 * (mode 0600 unless `mode`; a dead socket file is replaced, a live one is an
 * error).  The error names the address. */
struct net_listen *net_listen_open(uv_loop_t *loop, const char *where,
                                   unsigned mode, net_listen_fn *accepted,
                                   void *ctx, struct err *err) must_use;

/* Takes over a socket that listens already; its file, if it has one, is not
 * ours to remove.  `where` is what it is called. */
struct net_listen *net_listen_adopt(uv_loop_t *loop, int fd, const char *where,
                                    net_listen_fn *accepted, void *ctx,
                                    struct err *err) must_use;

/* Gives it to another owner. */
void net_listen_own(struct net_listen *l, net_listen_fn *accepted, void *ctx);

void net_listen_close(struct net_listen **slot);
/* Where it really listens: port 0 has become a number. */
const char *net_listen_where(const struct net_listen *l);

#endif
