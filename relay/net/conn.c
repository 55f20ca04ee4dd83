#include "relay/net/conn.h"

#include "relay/base/mem.h"
#include "relay/base/own.h"
#include "relay/net/tls_stream.h"

#include <assert.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>

enum {
    /* Octets read at once, into the stack: so all connections of a loop share
     * one buffer, and an idle one has none. */
    WIRE_SIZE = 64 * 1024,
    KEPT_MAX = 64 * 1024,
    DRAIN_MAX = 1024 * 1024, /* octets thrown away while closing */
};

struct net_conn {
    uv_poll_t poll;
    uv_timer_t timer;
    uv_idle_t soon; /* runs once, to call back outside of the owner's call */
    int held;       /* handles that libuv still holds */
    int fd;
    int interest; /* what `poll` waits for now */
    struct addr peer;

    const struct net_conn_events *events;
    void *ctx;
    uint64_t deadline; /* the owner's, in the loop's time; 0: none */
    uint64_t alarm;    /* when the timer fires; 0: it does not run */

    struct buf out; /* for the network; sent up to out_from */
    size_t out_from;
    struct buf kept; /* input the owner has left; used up to kept_from */
    size_t kept_from;
    struct buf wire;    /* records that wait while reading pauses */
    struct buf delayed; /* what the owner sent during the handshake */
    struct net_tls_stream *tls;
    struct err *failure; /* the first; NULL: none */
    size_t thrown_away;

    bool is_open;
    bool is_giving;  /* the owner's `input` runs */
    bool is_shaking; /* between start_tls and `secured` */
    bool was_full;   /* `drained` is owed */
    bool wants_more; /* net_conn_more was called */
    bool has_ended;  /* nothing more can be read */
    bool is_over;    /* and the owner knows */
    bool is_cut;     /* nothing more can be sent */
    bool is_mute;    /* nothing more of the owner's may be sent */
    bool is_closing;
    bool is_shut; /* our FIN is sent */
};

static size_t
out_left(const struct net_conn *c)
{
    return c->out.len - c->out_from;
}

static size_t
kept_left(const struct net_conn *c)
{
    return c->kept.len - c->kept_from;
}

/* Forgets the first n octets; the memory is moved rarely, and given back when
 * nothing is left. */
static void
advance(struct buf *b, size_t *from, size_t n)
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

static void
note_failure(struct net_conn *c, const struct err *err)
{
    if (c->failure)
        return;
    c->failure = mem_new(struct err);
    *c->failure = *err;
}

static void
note_errno(struct net_conn *c, const char *what)
{
    struct err err;
    int number = errno;

    err_errno(&err, "%s", what);
    if (number == ETIMEDOUT)
        err.kind = ERR_TIMEOUT;
    note_failure(c, &err);
}

/* The peer's last words may still wait to be read, so a failure to send ends
 * nothing: reading goes on until it fails as well. */
static void
cut(struct net_conn *c, const char *what)
{
    note_errno(c, what);
    c->is_cut = true;
    buf_free(&c->out);
    c->out_from = 0;
}

static void
break_off(struct net_conn *c, const struct err *err)
{
    note_failure(c, err);
    c->has_ended = true;
    c->is_mute = c->tls != NULL;
}

/* Returns how many octets the kernel took. */
static size_t
send_now(struct net_conn *c, struct slice bytes)
{
    ssize_t n = send(c->fd, bytes.p, bytes.len, MSG_NOSIGNAL);

    if (n >= 0)
        return (size_t)n;
    if (errno != EAGAIN && errno != EINTR)
        cut(c, "write");
    return 0;
}

static void
flush(struct net_conn *c)
{
    size_t n;

    if (out_left(c) == 0)
        return;
    n = send_now(c, slice_from(buf_slice(&c->out), c->out_from));
    if (!c->is_cut)
        advance(&c->out, &c->out_from, n);
}

static bool
may_read(const struct net_conn *c)
{
    if (!c->is_open || c->has_ended || c->is_closing)
        return false;
    return c->is_shaking || (kept_left(c) < KEPT_MAX && !net_conn_is_full(c));
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
    bool reads = may_read(c);
    bool owes_call = c->wants_more || (c->has_ended && !c->is_over) ||
                     (c->wire.len && reads);

    if (c->is_closing)
        return;
    if (net_conn_is_full(c))
        c->was_full = true;
    if (owes_call)
        uv_idle_start(&c->soon, soon_is_now);
    wait_for(c, (reads ? UV_READABLE : 0) | (out_left(c) ? UV_WRITABLE : 0));
}

/* Ends the handshake without a call to the owner, which `report` makes. */
static void
shake(struct net_conn *c, struct slice *in)
{
    struct err err;
    enum net_tls_shake step = net_tls_stream_shake(c->tls, in, &err);

    if (step == NET_TLS_REFUSED)
        break_off(c, &err);
    if (step == NET_TLS_SECURED)
        c->is_shaking = false;
    flush(c);
}

static void
begin_to_shake(struct net_conn *c)
{
    struct slice nothing = {0};
    struct err err;

    if (kept_left(c) == 0) {
        shake(c, &nothing);
        return;
    }
    /* What came in clear must never be taken for something that came under
     * TLS (CVE-2011-0411, CVE-2021-38371). */
    err_set(&err, ERR_TLS, "octets in clear behind STARTTLS");
    break_off(c, &err);
    buf_free(&c->kept);
    c->kept_from = 0;
}

/* Gives the owner what is kept, and fresh octets behind it. */
static void
give(struct net_conn *c, struct slice fresh)
{
    struct slice in = fresh;
    bool was_clear = !c->tls;
    bool is_kept = kept_left(c) > 0;
    size_t used;

    if (is_kept) {
        buf_add(&c->kept, fresh);
        in = slice_from(buf_slice(&c->kept), c->kept_from);
    }
    c->is_giving = true;
    used = c->events->input(c->ctx, in);
    c->is_giving = false;
    assert(used <= in.len);
    if (c->is_closing)
        return;
    if (is_kept)
        advance(&c->kept, &c->kept_from, used);
    else
        buf_add(&c->kept, slice_from(in, used));
    if (was_clear && c->tls)
        begin_to_shake(c);
}

static void
encrypt(struct net_conn *c, struct slice plain)
{
    struct err err;

    if (plain.len && !net_tls_stream_write(c->tls, plain, &err))
        break_off(c, &err);
}

/* The handshake is done: tells the owner, then sends what had to wait. */
static void
welcome(struct net_conn *c)
{
    encrypt(c, buf_slice(&c->delayed));
    buf_free(&c->delayed);
    flush(c);
    c->events->secured(c->ctx, NULL);
}

/* Decrypts and gives; what comes too early for a full owner is put by. */
static void
digest(struct net_conn *c, struct slice in)
{
    char plain[NET_TLS_PLAIN_MAX];
    struct err err;
    size_t got = 1;

    if (c->is_shaking) {
        shake(c, &in);
        if (c->is_shaking || c->has_ended)
            return;
        welcome(c);
    }
    while (got > 0 && may_read(c)) {
        if (!net_tls_stream_read(c->tls, &in, plain, &got, &err)) {
            break_off(c, &err);
            got = 0;
        }
        if (got > 0)
            give(c, (struct slice){plain, got});
    }
    if (net_tls_stream_is_ended(c->tls))
        c->has_ended = true;
    if (c->is_closing)
        return;
    flush(c);
    if (!c->has_ended)
        buf_add(&c->wire, in);
}

/* One read a turn, so that nobody starves the others on the loop. */
static void
receive(struct net_conn *c)
{
    char wire[WIRE_SIZE];
    size_t room = sizeof(wire);
    ssize_t n;

    if (!may_read(c) || c->wire.len)
        return;
    if (!c->tls)
        room = KEPT_MAX - kept_left(c);
    n = recv(c->fd, wire, room, 0);
    if (n > 0 && c->tls) {
        digest(c, (struct slice){wire, (size_t)n});
    } else if (n > 0) {
        give(c, (struct slice){wire, (size_t)n});
    } else if (n == 0) {
        c->has_ended = true;
    } else if (errno != EAGAIN && errno != EINTR) {
        note_errno(c, "read");
        c->has_ended = true;
    }
}

/* Goes on with records that were put by. */
static void
resume(struct net_conn *c)
{
    if (c->wire.len && may_read(c)) {
        scoped(buf_free) struct buf records = c->wire;

        c->wire = (struct buf){0};
        digest(c, buf_slice(&records));
    }
}

static void
report_end(struct net_conn *c)
{
    struct err err = {ERR_TLS, "the peer hung up during the handshake"};

    c->is_over = true;
    if (!c->is_shaking) {
        c->events->ended(c->ctx, c->failure);
        return;
    }
    if (c->failure)
        err = *c->failure;
    err.kind = ERR_TLS;
    c->is_shaking = false;
    c->is_mute = true;
    buf_free(&c->delayed);
    net_tls_stream_abandon(c->tls, err.text);
    c->events->secured(c->ctx, &err);
}

static void
report(struct net_conn *c)
{
    if (c->was_full && !c->is_cut && out_left(c) < NET_CONN_OUTPUT_MAX / 2) {
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
        resume(c);
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
        if (kept_left(c) && !c->is_shaking)
            give(c, (struct slice){0});
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

/* A close that leaves octets unread would make the kernel reset the
 * connection, and the reset may overtake what we sent last.  So we send our
 * FIN and read until the peer's, within the owner's time. */
static void
throw_away(struct net_conn *c)
{
    char wire[WIRE_SIZE];
    ssize_t n = recv(c->fd, wire, sizeof(wire), 0);

    if (n > 0)
        c->thrown_away += (size_t)n;
    else if (n == 0)
        c->has_ended = true;
    if (c->thrown_away > DRAIN_MAX ||
        (n < 0 && errno != EAGAIN && errno != EINTR))
        c->is_cut = true;
}

static void
go_on_closing(struct net_conn *c)
{
    if (c->is_cut || (c->has_ended && out_left(c) == 0)) {
        destroy(c);
        return;
    }
    if (out_left(c) == 0 && !c->is_shut) {
        c->is_shut = true;
        (void)shutdown(c->fd, SHUT_WR);
    }
    wait_for(c, (c->has_ended ? 0 : UV_READABLE) |
                    (out_left(c) ? UV_WRITABLE : 0));
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
        flush(c);
    if (c->is_closing) {
        if (events & UV_READABLE && !c->has_ended)
            throw_away(c);
        go_on_closing(c);
        return;
    }
    if (events & UV_READABLE)
        receive(c);
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

/* Most output never sees the queue.  What the kernel does not take is not
 * copied either: the queue takes the owner's memory over. */
static void
send_clear(struct net_conn *c, struct buf *out)
{
    size_t sent = 0;

    if (out_left(c) > 0) {
        buf_add(&c->out, buf_slice(out));
        return;
    }
    if (out->len > 0)
        sent = send_now(c, buf_slice(out));
    if (sent == out->len || c->is_cut)
        return;
    c->out = *out;
    c->out_from = sent;
    *out = (struct buf){0};
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
        bool was_idle = out_left(c) == 0;

        encrypt(c, buf_slice(out));
        if (was_idle)
            flush(c);
    } else {
        send_clear(c, out);
    }
    buf_clear(out);
    settle(c);
}

bool
net_conn_is_full(const struct net_conn *c)
{
    return out_left(c) + c->delayed.len > NET_CONN_OUTPUT_MAX;
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
    return kept_left(c) > 0;
}

void
net_conn_start_tls(struct net_conn *c, const struct net_tls_setup *setup)
{
    assert(!c->tls);
    c->tls = net_tls_stream_new(setup, &c->out);
    c->is_shaking = true;
    if (c->is_giving)
        return; /* what `input` leaves has to be known first */
    begin_to_shake(c);
    settle(c);
}

const struct net_tls_facts *
net_conn_tls(const struct net_conn *c)
{
    return c->tls && !c->is_shaking ? net_tls_stream_facts(c->tls) : NULL;
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
    flush(c);
    if (linger_ms == 0) {
        destroy(c);
        return;
    }
    set_alarm(c, uv_now(c->timer.loop) + linger_ms);
    go_on_closing(c);
}
