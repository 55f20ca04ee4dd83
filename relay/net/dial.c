#include "relay/net/dial.h"

#include "relay/base/mem.h"
#include "relay/base/own.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

struct net_dial {
    struct net_dial **slot; /* where our owner keeps us */
    net_dial_fn *done;
    void *ctx;
    uv_poll_t poll;
    uv_timer_t timer;
    int fd;    /* ours until it is handed to `done`; -1: no socket */
    int early; /* errno of what failed at once; the timer reports it */
    int held;  /* handles that libuv still holds */
};

static void
handle_closed(uv_handle_t *handle)
{
    struct net_dial *d = handle->data;

    if (--d->held == 0)
        free(d);
}

/* Gives up all handles and gives out the socket. */
static int
let_go(struct net_dial *d)
{
    int fd = d->fd;

    *d->slot = NULL;
    d->fd = -1;
    uv_close((uv_handle_t *)&d->timer, handle_closed);
    if (fd >= 0)
        uv_close((uv_handle_t *)&d->poll, handle_closed);
    return fd;
}

/* The one place where an attempt ends by itself. */
static void
finish(struct net_dial *d, int number)
{
    int fd = let_go(d);
    struct err err;

    if (number == 0) {
        d->done(d->ctx, fd, NULL);
        return;
    }
    own_close(&fd);
    errno = number;
    err_errno(&err, "connect");
    if (number == ETIMEDOUT)
        err.kind = ERR_TIMEOUT;
    d->done(d->ctx, -1, &err);
}

static void
time_is_up(uv_timer_t *timer)
{
    struct net_dial *d = timer->data;

    finish(d, d->early ? d->early : ETIMEDOUT);
}

static void
decided(uv_poll_t *poll, int status, int events)
{
    struct net_dial *d = poll->data;
    int number = 0;
    socklen_t len = sizeof(number);

    (void)status, (void)events;
    if (getsockopt(d->fd, SOL_SOCKET, SO_ERROR, &number, &len) != 0)
        number = errno;
    finish(d, number);
}

/* Returns 0 or errno; EINPROGRESS is 0. */
static int
try_connect(struct net_dial *d, const struct addr *to, const struct addr *from)
{
    int yes = 1;

    d->fd = socket(to->any.sa_family,
                   SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (d->fd < 0)
        return errno;
    if (from) {
        /* The port is chosen by connect, which knows the whole four-tuple:
         * otherwise a busy source address would run out of ports. */
        (void)setsockopt(d->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &yes,
                         sizeof(yes));
        if (bind(d->fd, &from->any, addr_len(from)) != 0)
            return errno;
    }
    if (connect(d->fd, &to->any, addr_len(to)) != 0 && errno != EINPROGRESS)
        return errno;
    return 0;
}

void
net_dial_start(struct net_dial **slot, uv_loop_t *loop, const struct addr *to,
               const struct addr *from, uint64_t limit_ms, net_dial_fn *done,
               void *ctx)
{
    struct net_dial *d = mem_new(struct net_dial);

    d->slot = slot;
    d->done = done;
    d->ctx = ctx;
    d->timer.data = d->poll.data = d;
    uv_timer_init(loop, &d->timer);
    d->held = 1;
    d->early = try_connect(d, to, from);
    if (d->early)
        own_close(&d->fd);
    if (d->fd >= 0) {
        int status = uv_poll_init(loop, &d->poll, d->fd);

        assert(status == 0);
        d->held = 2;
        uv_poll_start(&d->poll, UV_WRITABLE, decided);
    }
    uv_update_time(loop);
    uv_timer_start(&d->timer, time_is_up, d->early ? 0 : limit_ms, 0);
    *slot = d;
}

void
net_dial_cancel(struct net_dial **slot)
{
    if (*slot) {
        int fd = let_go(*slot);

        own_close(&fd);
    }
}
