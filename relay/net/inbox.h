/* relay/net/inbox - a mailbox whose letters arrive on a loop. */
#ifndef RELAY_NET_INBOX_H
#define RELAY_NET_INBOX_H

#include "relay/base/mailbox.h"

#include <uv.h>

/* All letters that had gathered, oldest first; the callee owns them. */
typedef void net_inbox_fn(void *ctx, struct mailbox_letter *first);

struct net_inbox {
    struct mailbox box; /* any thread may mailbox_put here */
    uv_async_t async;
    net_inbox_fn *arrived;
    void *ctx;
};

void net_inbox_open(struct net_inbox *in, uv_loop_t *loop,
                    net_inbox_fn *arrived, void *ctx);
/* Nobody may put any more: threads that did have been joined or have finished
 * their last mailbox_put; letters that still wait have been taken.  The memory
 * must outlive the loop's next turn. */
void net_inbox_close(struct net_inbox *in);

#endif
