#include "relay/daemon/release.h"

#include "relay/base/mem.h"
#include "relay/net/timer.h"

#include <stdlib.h>

struct release {
    struct store_call call;
    struct relay *relay;
    struct net_timer *again;
    uint64_t id;
    uint32_t *numbers;
    size_t count;
    void (*done)(void *ctx);
    void *ctx;
};

static bool
work(struct store_call *call, struct queue_store *store, struct err *err)
{
    struct release *x = own_container(call, struct release, call);

    (void)err;
    queue_store_release(store, x->id, x->numbers, x->count);
    return true;
}

static void
end(struct release *x)
{
    x->done(x->ctx);
    net_timer_free(&x->again);
    free(x->numbers);
    free(x);
}

static void
try_again(void *ctx)
{
    struct release *x = ctx;

    if (atomic_load(&x->relay->is_draining))
        end(x);
    else
        store_thread_post(x->relay->store, &x->call);
}

static void
came_home(struct task *task)
{
    struct release *x = own_container(task, struct release, call.task);

    if (!x->call.failed) {
        end(x);
        return;
    }
    if (!x->again)
        x->again = net_timer_new(&x->relay->loop, try_again, x);
    net_timer_set(x->again, RELEASE_RETRY_MS);
}

void
release_start(struct relay *relay, uint64_t id, uint32_t *numbers, size_t count,
              void (*done)(void *ctx), void *ctx)
{
    struct release *x = mem_new(struct release);

    x->call.work = work;
    x->call.task.run = came_home;
    x->call.home = &relay->inbox;
    x->relay = relay;
    x->id = id;
    x->numbers = numbers;
    x->count = count;
    x->done = done;
    x->ctx = ctx;
    store_thread_post(relay->store, &x->call);
}
