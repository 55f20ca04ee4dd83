/*
 * relay/net/watch - tells when a file has changed, on one loop.
 *
 * The file is looked at from time to time and not listened to: that sees what
 * is put in its place as well, behind a symbolic link or by a rename, on any
 * file system.  A file that goes or comes has changed.
 */
#ifndef RELAY_NET_WATCH_H
#define RELAY_NET_WATCH_H

#include <uv.h>

enum { NET_WATCH_MS = 2000 };

struct net_watch;

typedef void net_watch_fn(void *ctx);

/* `changed` runs until the watch is freed, which it may do itself. */
struct net_watch *net_watch_new(uv_loop_t *loop, const char *path,
                                net_watch_fn *changed, void *ctx);
void net_watch_free(struct net_watch **w);

#endif
