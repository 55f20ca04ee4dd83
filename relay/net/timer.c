#include "relay/net/timer.h"

#include "relay/base/mem.h"
#include "relay/base/own.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

struct net_timer {
    uv_timer_t handle;
    net_timer_fn *fired;
    void *ctx;
};

struct net_timer *
net_timer_new(uv_loop_t *loop, net_timer_fn *fired, void *ctx)
{
    struct net_timer *t = mem_new(struct net_timer);

    uv_timer_init(loop, &t->handle);
    t->handle.data = t;
    t->fired = fired;
    t->ctx = ctx;
    return t;
}

static void
time_has_come(uv_timer_t *handle)
{
    struct net_timer *t = handle->data;

    t->fired(t->ctx);
}

void
net_timer_set(struct net_timer *t, uint64_t ms)
{
    /* The loop's time is that of its last turn; a caller that was busy since
     * would be called too early. */
    uv_update_time(t->handle.loop);
    uv_timer_start(&t->handle, time_has_come, ms, 0);
}

void
net_timer_stop(struct net_timer *t)
{
    uv_timer_stop(&t->handle);
}

static void
closed(uv_handle_t *handle)
{
    free(handle->data);
}

void
net_timer_free(struct net_timer **t)
{
    if (*t)
        uv_close((uv_handle_t *)&take(t)->handle, closed);
}

static int64_t
read_clock(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t
net_clock_wall(void)
{
    return read_clock(CLOCK_REALTIME);
}

int64_t
net_clock_steady(void)
{
    /* Deviation: the one variable of this layer that outlives a call, because
     * all threads have to count from the same origin.  0 is "not yet". */
    static _Atomic int64_t origin;
    int64_t passed = read_clock(CLOCK_BOOTTIME);
    int64_t known = origin;

    if (known == 0) {
        int64_t mine = net_clock_wall() - passed;

        /* Whoever comes first decides; a failed exchange reads the winner. */
        if (atomic_compare_exchange_strong(&origin, &known, mine))
            known = mine;
    }
    return known + passed;
}

int64_t
net_clock_us(void)
{
    return (int64_t)(uv_hrtime() / 1000);
}
