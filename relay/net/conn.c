#include "relay/net/conn_parts.h"

#include "relay/base/mem.h"
#include "relay/base/own.h"

#include <assert.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>

void
net_conn_note(struct net_conn *c, const struct err *err)
{
    if (c->failure)
        return;
    c->failure = mem_new(struct err);
    *c->failure = *err;
}

void
net_conn_note_errno(struct net_conn *c, const char *what)
{
    struct err err;
    int number = errno;

    err_errno(&err, "%s", what);
    if (number == ETIMEDOUT)
        err.kind = ERR_TIMEOUT;
    net_conn_note(c, &err);
}

void
net_conn_break_off(struct net_conn *c, const struct err *err)
{
    net_conn_note(c, err);
    c->has_ended = true;
    c->is_mute = c->tls != NULL;
}

/* Forgets the first n octets; the memory is moved rarely, and given back when
 * nothing is left. */
void
net_conn_advance(struct buf *b, size_t *from, size_t n)
{
    *from += n;
    if (*from == b->len)
        buf_free(b);
    else if (*from > b->len / 2)
        buf_drop(b, *from);
    else
        return;
    *from = 0;
}

static void happened(uv_poll_t *poll, int status, int events);
static void soon_is_now(uv_idle_t *idle);

static void
wait_for(struct net_conn *c, int events)
{
    if (events == c->interest)
        return;
    c->interest = events;
    if (events)
        uv_poll_start(&c->poll, events, happened);
    else
        uv_poll_stop(&c->poll);
}

/* To be called last wherever something may have changed. */
static void
settle(struct net_conn *c)
{
    bool reads = net_conn_in_may(c);
    bool owes_call = c->wants_more || (c->has_ended && !c->is_over) ||
                     (c->wire.len && reads);

    if (c->is_closing)
        return;
    if (net_conn_is_full(c))
        c->was_full = true;
    if (owes_call)
        uv_idle_start(&c->soon, soon_is_now);
    wait_for(c, (reads ? UV_READABLE : 0) |
                    (net_conn_out_left(c) ? UV_WRITABLE : 0));
}

static void
report_end(struct net_conn *c)
{
    struct err err = {ERR_SYSTEM, "the peer hung up during the handshake"};

    c->is_over = true;
    if (!c->is_shaking) {
        c->events->ended(c->ctx, c->failure);
        return;
    }
    if (c->failure)
        err = *c->failure;
    c->is_shaking = false;
    c->is_mute = true;
    buf_free(&c->delayed);
    net_tls_stream_abandon(c->tls, err.text);
    c->events->secured(c->ctx, &err);
}

static void
report(struct net_conn *c)
{
    if (c->was_full && !c->is_cut &&
        net_conn_out_left(c) < NET_CONN_OUTPUT_MAX / 2) {
        c->was_full = false;
        c->events->drained(c->ctx);
    }
    if (c->has_ended && !c->is_over && !c->is_closing)
        report_end(c);
}

/* The bottom of every callback of the loop. */
static void
end_turn(struct net_conn *c)
{
    if (!c->is_closing)
        net_conn_in_resume(c);
    if (!c->is_closing)
        report(c);
    settle(c);
}

static void
soon_is_now(uv_idle_t *idle)
{
    struct net_conn *c = idle->data;

    uv_idle_stop(idle);
    if (c->wants_more) {
        c->wants_more = false;
        if (net_conn_in_left(c) && !c->is_shaking)
            net_conn_in_give(c, (struct slice){0});
    }
    end_turn(c);
}

static void
handle_closed(uv_handle_t *handle)
{
    struct net_conn *c = handle->data;

    if (--c->held > 0)
        return;
    net_tls_stream_free(&c->tls);
    buf_free(&c->out);
    buf_free(&c->kept);
    buf_free(&c->wire);
    buf_free(&c->delayed);
    free(c->failure);
    free(c);
}

/* The memory lives on until libuv has let go, behind all callbacks. */
static void
destroy(struct net_conn *c)
{
    if (c->fd < 0)
        return;
    uv_close((uv_handle_t *)&c->poll, handle_closed);
    uv_close((uv_handle_t *)&c->timer, handle_closed);
    uv_close((uv_handle_t *)&c->soon, handle_closed);
    own_close(&c->fd);
}

static void
go_on_closing(struct net_conn *c)
{
    if (c->is_cut || (c->has_ended && net_conn_out_left(c) == 0)) {
        destroy(c);
        return;
    }
    if (net_conn_out_left(c) == 0 && !c->is_shut) {
        c->is_shut = true;
        (void)shutdown(c->fd, SHUT_WR);
    }
    wait_for(c, (c->has_ended ? 0 : UV_READABLE) |
                    (net_conn_out_left(c) ? UV_WRITABLE : 0));
}

static void
happened(uv_poll_t *poll, int status, int events)
{
    struct net_conn *c = poll->data;

    if (status < 0) {
        /* libuv has stopped polling; reading will tell what is wrong. */
        c->interest = 0;
        events = UV_READABLE | UV_WRITABLE;
    }
    if (events & UV_WRITABLE)
        net_conn_out_flush(c);
    if (c->is_closing) {
        if (events & UV_READABLE && !c->has_ended)
            net_conn_in_throw_away(c);
        go_on_closing(c);
        return;
    }
    if (events & UV_READABLE)
        net_conn_in_receive(c);
    end_turn(c);
}

static void time_has_come(uv_timer_t *timer);

static void
set_alarm(struct net_conn *c, uint64_t at)
{
    uint64_t now = uv_now(c->timer.loop);

    c->alarm = at;
    uv_timer_start(&c->timer, time_has_come, at > now ? at - now : 0, 0);
}

static void
time_has_come(uv_timer_t *timer)
{
    struct net_conn *c = timer->data;

    c->alarm = 0;
    if (c->is_closing) {
        destroy(c);
        return;
    }
    if (c->deadline == 0)
        return;
    if (uv_now(timer->loop) < c->deadline) {
        set_alarm(c, c->deadline);
        return;
    }
    c->deadline = 0;
    c->events->late(c->ctx);
}

/* A limit is set anew with every command, so moving it on must cost nothing:
 * the alarm stays where it is and looks at the deadline when it fires. */
void
net_conn_limit(struct net_conn *c, uint64_t ms)
{
    c->deadline = ms ? uv_now(c->timer.loop) + ms : 0;
    if (c->deadline && (c->alarm == 0 || c->alarm > c->deadline))
        set_alarm(c, c->deadline);
}

/* The peer's address; when it is gone already, the unspecified one of its
 * family, so that nobody on the network passes for a local peer. */
static struct addr
find_peer(int fd)
{
    struct sockaddr_storage ss = {0};
    socklen_t len = sizeof(ss);
    int family = AF_INET;
    socklen_t family_len = sizeof(family);

    if (getpeername(fd, (struct sockaddr *)&ss, &len) == 0)
        return addr_from_sockaddr((struct sockaddr *)&ss);
    (void)getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &family_len);
    if (family == AF_INET6)
        return addr_from_v6((struct in6_addr){0}, 0);
    if (family == AF_UNIX)
        return (struct addr){.any = {.sa_family = AF_UNSPEC}};
    return addr_from_v4((struct in_addr){0}, 0);
}

struct addr
net_conn_local(const struct net_conn *c)
{
    struct sockaddr_storage ss = {0};
    socklen_t len = sizeof(ss);

    if (c->peer.any.sa_family == AF_UNSPEC ||
        getsockname(c->fd, (struct sockaddr *)&ss, &len) != 0)
        return (struct addr){.any = {.sa_family = AF_UNSPEC}};
    return addr_from_sockaddr((struct sockaddr *)&ss);
}

struct net_conn *
net_conn_new(uv_loop_t *loop, int fd, const struct net_conn_events *events,
             void *ctx)
{
    struct net_conn *c = mem_new(struct net_conn);
    int status = uv_poll_init(loop, &c->poll, fd);
    int yes = 1;

    assert(status == 0);
    uv_timer_init(loop, &c->timer);
    uv_idle_init(loop, &c->soon);
    c->poll.data = c->timer.data = c->soon.data = c;
    c->held = 3;
    c->fd = fd;
    c->peer = find_peer(fd);
    if (c->peer.any.sa_family != AF_UNSPEC)
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
    net_conn_own(c, events, ctx);
    return c;
}

void
net_conn_own(struct net_conn *c, const struct net_conn_events *events,
             void *ctx)
{
    c->events = events;
    c->ctx = ctx;
}

void
net_conn_open(struct net_conn *c)
{
    c->is_open = true;
    settle(c);
}

void
net_conn_send(struct net_conn *c, struct buf *out)
{
    if (c->is_cut || c->is_mute) {
        buf_clear(out);
        return;
    }
    if (c->is_shaking) {
        buf_add(&c->delayed, buf_slice(out));
    } else if (c->tls) {
        bool was_idle = net_conn_out_left(c) == 0;

        net_conn_out_encrypt(c, buf_slice(out));
        if (was_idle)
            net_conn_out_flush(c);
    } else {
        net_conn_out_clear(c, out);
    }
    buf_clear(out);
    settle(c);
}

bool
net_conn_is_full(const struct net_conn *c)
{
    return net_conn_out_left(c) + c->delayed.len > NET_CONN_OUTPUT_MAX;
}

void
net_conn_more(struct net_conn *c)
{
    c->wants_more = true;
    settle(c);
}

bool
net_conn_has_kept(const struct net_conn *c)
{
    return net_conn_in_left(c) > 0;
}

void
net_conn_start_tls(struct net_conn *c, const struct net_tls_setup *setup)
{
    assert(!c->tls);
    c->tls = net_tls_stream_new(setup, &c->out);
    c->is_shaking = true;
    if (c->is_giving)
        return; /* what `input` leaves has to be known first */
    net_conn_in_shake(c);
    settle(c);
}

const struct net_tls_facts *
net_conn_tls(const struct net_conn *c)
{
    return c->tls && !c->is_shaking ? net_tls_stream_facts(c->tls) : NULL;
}

bool
net_conn_binding(const struct net_conn *c, uint8_t out[NET_TLS_BINDING_LEN])
{
    return c->tls && !c->is_shaking && net_tls_stream_binding(c->tls, out);
}

bool
net_conn_is_truncated(const struct net_conn *c)
{
    return c->tls && c->has_ended && !net_tls_stream_is_ended(c->tls);
}

const struct addr *
net_conn_peer(const struct net_conn *c)
{
    return &c->peer;
}

void
net_conn_close(struct net_conn **slot, uint64_t linger_ms)
{
    struct net_conn *c;

    if (!*slot)
        return;
    c = take(slot);
    c->is_closing = true;
    uv_idle_stop(&c->soon);
    if (c->tls)
        net_tls_stream_finish(c->tls);
    net_conn_out_flush(c);
    if (linger_ms == 0) {
        destroy(c);
        return;
    }
    set_alarm(c, uv_now(c->timer.loop) + linger_ms);
    go_on_closing(c);
}
