/*
 * relay/net/dial - open a TCP connection within a time limit.
 *
 * The rules of every asynchronous operation of relay/net:
 *
 *   - start fills *slot and never calls `done` before it has returned;
 *   - `done` runs exactly once, unless the owner cancels first;
 *   - *slot is NULL by the time `done` runs, so cancelling is always safe;
 *   - once cancel has returned `done` never runs: its ctx may be freed.
 *
 * The slot is a member of the owner and does not move meanwhile.
 */
#ifndef RELAY_NET_DIAL_H
#define RELAY_NET_DIAL_H

#include "relay/base/addr.h"
#include "relay/base/err.h"

#include <uv.h>

struct net_dial;

/* On success err is NULL and fd is the callee's to close; else fd is -1. */
typedef void net_dial_fn(void *ctx, int fd, const struct err *err);

/* `from` NULL: the system chooses the source address. */
void net_dial_start(struct net_dial **slot, uv_loop_t *loop,
                    const struct addr *to, const struct addr *from,
                    uint64_t limit_ms, net_dial_fn *done, void *ctx);
void net_dial_cancel(struct net_dial **slot);

#endif
