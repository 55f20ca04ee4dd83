/*
 * relay/net/work - slow CPU work on a thread of libuv's pool.
 *
 * The rules of relay/net/dial.h hold.  What is worked on moves in, so that it
 * outlives a cancel; nobody else looks at it until `done`.
 */
#ifndef RELAY_NET_WORK_H
#define RELAY_NET_WORK_H

#include <uv.h>

/* Embedded in a struct with what goes in and what comes out. */
struct net_work_load {
    void (*run)(struct net_work_load *load);  /* on a thread of the pool */
    void (*drop)(struct net_work_load *load); /* on the loop's thread, once:
                                                 behind `done`, or a cancel */
};

/* As many threads as that, unless the environment (UV_THREADPOOL_SIZE) says
 * otherwise; libuv has four.  Before the first start, and before there is a
 * second thread. */
void net_work_widen(unsigned threads);

struct net_work;

typedef void net_work_fn(void *ctx, struct net_work_load *load);

void net_work_start(struct net_work **slot, uv_loop_t *loop,
                    struct net_work_load *load, net_work_fn *done, void *ctx);
/* What runs already runs to its end, unheard. */
void net_work_cancel(struct net_work **slot);

#endif
