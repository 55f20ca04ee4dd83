#include "relay/net/proxy_read.h"

#include "relay/base/buf.h"
#include "relay/base/mem.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

struct net_proxy_read {
    uv_poll_t poll;
    uv_timer_t timer;
    struct net_proxy_read **slot;
    int fd;
    int held;        /* handles that libuv still holds */
    struct buf head; /* taken off the socket so far */
    net_proxy_read_fn *done;
    void *ctx;
};

static void
handle_closed(uv_handle_t *handle)
{
    struct net_proxy_read *r = handle->data;

    if (--r->held > 0)
        return;
    buf_free(&r->head);
    free(r);
}

static void
close_handles(struct net_proxy_read *r)
{
    uv_close((uv_handle_t *)&r->poll, handle_closed);
    uv_close((uv_handle_t *)&r->timer, handle_closed);
}

/* The memory lives on until libuv has let go. */
static void
finish(struct net_proxy_read *r, const struct net_proxy *header,
       const struct err *err)
{
    int fd = r->fd;

    r->fd = -1;
    (void)take(r->slot);
    close_handles(r);
    r->done(r->ctx, fd, header, err);
}

static void
fail(struct net_proxy_read *r, const char *why)
{
    struct err err;

    err_set(&err, ERR_INPUT, "%s", why);
    finish(r, NULL, &err);
}

/* What was looked at, and is known to belong to the header. */
static void
take_off(struct net_proxy_read *r, size_t len)
{
    char gone[NET_PROXY_HEADER_MAX];
    ssize_t n = recv(r->fd, gone, len, 0);

    assert(n == (ssize_t)len); /* the kernel keeps what it has shown */
}

/* Looks first: only the parser knows where the header ends. */
static void
readable(uv_poll_t *poll, int status, int events)
{
    struct net_proxy_read *r = poll->data;
    char next[NET_PROXY_HEADER_MAX];
    size_t before = r->head.len;
    struct net_proxy header;
    struct err err;
    ssize_t n = recv(r->fd, next, sizeof(next) - before, MSG_PEEK);

    (void)status, (void)events;
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        fail(r, "the peer hung up before a whole PROXY header");
        return;
    }
    buf_add(&r->head, (struct slice){next, (size_t)n});
    switch (net_proxy_parse(buf_slice(&r->head), &header, &err)) {
    case NET_PROXY_WAITS:
        take_off(r, (size_t)n);
        break;
    case NET_PROXY_DONE:
        take_off(r, header.len - before);
        finish(r, &header, NULL);
        break;
    case NET_PROXY_REFUSED:
        finish(r, NULL, &err);
        break;
    }
}

static void
time_is_up(uv_timer_t *timer)
{
    fail(timer->data, "no whole PROXY header came in time");
}

void
net_proxy_read_start(struct net_proxy_read **slot, uv_loop_t *loop, int fd,
                     uint64_t limit_ms, net_proxy_read_fn *done, void *ctx)
{
    struct net_proxy_read *r = mem_new(struct net_proxy_read);
    int status = uv_poll_init(loop, &r->poll, fd);

    assert(status == 0);
    uv_timer_init(loop, &r->timer);
    r->poll.data = r->timer.data = r;
    r->held = 2;
    r->slot = slot;
    r->fd = fd;
    r->done = done;
    r->ctx = ctx;
    *slot = r;
    uv_poll_start(&r->poll, UV_READABLE, readable);
    uv_timer_start(&r->timer, time_is_up, limit_ms, 0);
}

void
net_proxy_read_cancel(struct net_proxy_read **slot)
{
    struct net_proxy_read *r;

    if (!*slot)
        return;
    r = take(slot);
    close_handles(r);
    own_close(&r->fd);
}
