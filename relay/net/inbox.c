#include "relay/net/inbox.h"

#include <assert.h>

/* Runs on the thread that puts: only uv_async_send is allowed there. */
static void
wake(void *ctx)
{
    struct net_inbox *in = ctx;

    uv_async_send(&in->async);
}

static void
woken(uv_async_t *async)
{
    struct net_inbox *in = async->data;
    struct mailbox_letter *first = mailbox_take(&in->box);

    /* libuv may merge wakes, or wake once more for letters already taken. */
    if (first)
        in->arrived(in->ctx, first);
}

void
net_inbox_open(struct net_inbox *in, uv_loop_t *loop, net_inbox_fn *arrived,
               void *ctx)
{
    int status = uv_async_init(loop, &in->async, woken);

    assert(status == 0);
    in->async.data = in;
    in->arrived = arrived;
    in->ctx = ctx;
    mailbox_init(&in->box, wake, in);
}

void
net_inbox_close(struct net_inbox *in)
{
    uv_close((uv_handle_t *)&in->async, NULL);
    mailbox_done(&in->box);
}
