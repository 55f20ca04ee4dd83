#include "relay/net/work.h"

#include "relay/base/mem.h"
#include "relay/base/own.h"

#include <stdio.h>
#include <stdlib.h>

enum { THREADS_MIN = 4 };

void
net_work_widen(unsigned threads)
{
    char text[16];

    if (threads < THREADS_MIN)
        threads = THREADS_MIN;
    (void)snprintf(text, sizeof(text), "%u", threads);
    (void)setenv("UV_THREADPOOL_SIZE", text, 0);
}

struct net_work {
    uv_work_t request;
    struct net_work **slot; /* NULL: cancelled */
    struct net_work_load *load;
    net_work_fn *done;
    void *ctx;
};

static void
run(uv_work_t *request)
{
    struct net_work *w = own_container(request, struct net_work, request);

    w->load->run(w->load);
}

static void
ran(uv_work_t *request, int status)
{
    struct net_work *w = own_container(request, struct net_work, request);
    struct net_work_load *load = w->load;

    (void)status; /* only a cancel makes it fail */
    if (w->slot) {
        *w->slot = NULL;
        w->done(w->ctx, load);
    }
    load->drop(load);
    free(w);
}

void
net_work_start(struct net_work **slot, uv_loop_t *loop,
               struct net_work_load *load, net_work_fn *done, void *ctx)
{
    struct net_work *w = mem_new(struct net_work);

    w->slot = slot;
    w->load = load;
    w->done = done;
    w->ctx = ctx;
    *slot = w;
    if (uv_queue_work(loop, &w->request, run, ran) != 0)
        abort(); /* only for want of a function to run */
}

void
net_work_cancel(struct net_work **slot)
{
    struct net_work *w = take(slot);

    if (!w)
        return;
    w->slot = NULL;
    (void)uv_cancel((uv_req_t *)&w->request);
}
