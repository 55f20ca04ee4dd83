/*
 * relay/net/proxy_read - takes a PROXY header off an accepted socket, and not
 * one octet behind it, so that TLS may begin there.
 *
 * The rules of relay/net/dial.h hold.
 */
#ifndef RELAY_NET_PROXY_READ_H
#define RELAY_NET_PROXY_READ_H

#include "relay/net/proxy.h"

#include <stdint.h>
#include <uv.h>

struct net_proxy_read;

/* fd is the callee's, however it went; `header` is NULL where `err` says
 * why. */
typedef void net_proxy_read_fn(void *ctx, int fd,
                               const struct net_proxy *header,
                               const struct err *err);

/* Takes over a connected socket that does not block.  The whole header has to
 * be there within limit_ms. */
void net_proxy_read_start(struct net_proxy_read **slot, uv_loop_t *loop, int fd,
                          uint64_t limit_ms, net_proxy_read_fn *done,
                          void *ctx);

/* Closes the socket. */
void net_proxy_read_cancel(struct net_proxy_read **slot);

#endif
