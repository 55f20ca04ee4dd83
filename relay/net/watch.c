#include "relay/net/watch.h"

#include "relay/base/mem.h"
#include "relay/base/own.h"

#include <stdlib.h>

struct net_watch {
    uv_fs_poll_t poll; /* libuv closes late */
    net_watch_fn *changed;
    void *ctx;
};

static void
looked(uv_fs_poll_t *poll, int status, const uv_stat_t *before,
       const uv_stat_t *now)
{
    struct net_watch *w = own_container(poll, struct net_watch, poll);

    (void)status, (void)before, (void)now;
    if (!uv_is_closing((uv_handle_t *)poll))
        w->changed(w->ctx);
}

struct net_watch *
net_watch_new(uv_loop_t *loop, const char *path, net_watch_fn *changed,
              void *ctx)
{
    struct net_watch *w = mem_new(struct net_watch);

    w->changed = changed;
    w->ctx = ctx;
    if (uv_fs_poll_init(loop, &w->poll) != 0 ||
        uv_fs_poll_start(&w->poll, looked, path, NET_WATCH_MS) != 0)
        abort(); /* out of memory */
    return w;
}

static void
closed(uv_handle_t *handle)
{
    free(own_container((uv_fs_poll_t *)handle, struct net_watch, poll));
}

void
net_watch_free(struct net_watch **place)
{
    struct net_watch *w = take(place);

    if (w)
        uv_close((uv_handle_t *)&w->poll, closed);
}
