#include "relay/net/uv_events.h"

#include "relay/base/mem.h"
#include "relay/base/own.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/time.h>

struct base {
    struct ub_event_base super;
    uv_loop_t *loop;
};

/* The libuv handles have lives of their own: they close late. */
struct event {
    struct ub_event super;
    uv_loop_t *loop;
    int fd;
    short bits;
    void (*cb)(int fd, short bits, void *arg);
    void *arg;
    uv_poll_t *poll;   /* NULL unless added with a descriptor */
    uv_timer_t *timer; /* NULL unless added with a time */
};

static struct event *
of(struct ub_event *ev)
{
    return own_container(ev, struct event, super);
}

static void
closed(uv_handle_t *handle)
{
    free(handle);
}

static void
stop(struct event *e)
{
    if (e->poll)
        uv_close((uv_handle_t *)take(&e->poll), closed);
    if (e->timer)
        uv_close((uv_handle_t *)take(&e->timer), closed);
}

/* The callback may free the event: it is not touched behind it. */
static void
fire(struct event *e, short bits)
{
    if (!(e->bits & UB_EV_PERSIST))
        stop(e);
    e->cb(e->fd, bits, e->arg);
}

static void
polled(uv_poll_t *poll, int status, int events)
{
    struct event *e = poll->data;
    short bits = 0;

    if (status < 0)
        events = UV_READABLE | UV_WRITABLE; /* the next call tells why */
    if (events & UV_READABLE)
        bits |= e->bits & UB_EV_READ;
    if (events & UV_WRITABLE)
        bits |= e->bits & UB_EV_WRITE;
    if (bits)
        fire(e, bits);
}

static void
timed_out(uv_timer_t *timer)
{
    struct event *e = timer->data;

    uv_close((uv_handle_t *)take(&e->timer), closed);
    fire(e, UB_EV_TIMEOUT);
}

static bool
start_poll(struct event *e)
{
    int events = (e->bits & UB_EV_READ ? UV_READABLE : 0) |
                 (e->bits & UB_EV_WRITE ? UV_WRITABLE : 0);

    e->poll = mem_new(uv_poll_t);
    if (uv_poll_init(e->loop, e->poll, e->fd) != 0) {
        free(take(&e->poll));
        return false;
    }
    e->poll->data = e;
    return uv_poll_start(e->poll, events, polled) == 0;
}

static void
start_timer(struct event *e, const struct timeval *after)
{
    uint64_t ms =
        (uint64_t)after->tv_sec * 1000 + (uint64_t)after->tv_usec / 1000;

    e->timer = mem_new(uv_timer_t);
    if (uv_timer_init(e->loop, e->timer) != 0)
        abort();
    e->timer->data = e;
    uv_timer_start(e->timer, timed_out, ms, 0);
}

/* --- what libunbound calls --- */

static void
add_bits(struct ub_event *ev, short bits)
{
    of(ev)->bits |= bits;
}

static void
del_bits(struct ub_event *ev, short bits)
{
    of(ev)->bits &= (short)~bits;
}

static void
set_fd(struct ub_event *ev, int fd)
{
    of(ev)->fd = fd;
}

static void
free_event(struct ub_event *ev)
{
    struct event *e = of(ev);

    stop(e);
    free(e);
}

static int
add(struct ub_event *ev, struct timeval *after)
{
    struct event *e = of(ev);

    stop(e);
    if (e->fd >= 0 && (e->bits & (UB_EV_READ | UB_EV_WRITE)) && !start_poll(e))
        return -1;
    if (after && (e->bits & UB_EV_TIMEOUT))
        start_timer(e, after);
    return 0;
}

static int
del(struct ub_event *ev)
{
    stop(of(ev));
    return 0;
}

static int
add_timer(struct ub_event *ev, struct ub_event_base *base,
          void (*cb)(int, short, void *), void *arg, struct timeval *after)
{
    struct event *e = of(ev);

    (void)base;
    stop(e);
    e->cb = cb;
    e->arg = arg;
    start_timer(e, after);
    return 0;
}

static struct ub_event_vmt event_calls = {
    .add_bits = add_bits,
    .del_bits = del_bits,
    .set_fd = set_fd,
    .free = free_event,
    .add = add,
    .del = del,
    .add_timer = add_timer,
    .del_timer = del,
};

static struct ub_event *
new_event(struct ub_event_base *super, int fd, short bits,
          void (*cb)(int, short, void *), void *arg)
{
    struct base *b = own_container(super, struct base, super);
    struct event *e = mem_new(struct event);

    e->super.magic = UB_EVENT_MAGIC;
    e->super.vmt = &event_calls;
    e->loop = b->loop;
    e->fd = fd;
    e->bits = bits;
    e->cb = cb;
    e->arg = arg;
    return &e->super;
}

static struct ub_event_base_vmt base_calls = {
    .new_event = new_event,
};

struct ub_event_base *
net_uv_events_new(uv_loop_t *loop)
{
    struct base *b = mem_new(struct base);

    b->super.magic = UB_EVENT_MAGIC;
    b->super.vmt = &base_calls;
    b->loop = loop;
    return &b->super;
}

void
net_uv_events_free(struct ub_event_base **place)
{
    struct ub_event_base *super = take(place);

    if (super)
        free(own_container(super, struct base, super));
}
