#include "relay/net/conn_parts.h"

#include <assert.h>
#include <errno.h>
#include <sys/socket.h>

enum {
    /* Octets read at once, into the stack: so all connections of a loop share
     * one buffer, and an idle one has none. */
    WIRE_SIZE = 64 * 1024,
    KEPT_MAX = 64 * 1024,
    DRAIN_MAX = 1024 * 1024, /* octets thrown away while closing */
};

size_t
net_conn_in_left(const struct net_conn *c)
{
    return c->kept.len - c->kept_from;
}

bool
net_conn_in_may(const struct net_conn *c)
{
    if (!c->is_open || c->has_ended || c->is_closing)
        return false;
    return c->is_shaking ||
           (net_conn_in_left(c) < KEPT_MAX && !net_conn_is_full(c));
}

/* Ends the handshake without a call to the owner, which `report` makes. */
static void
shake(struct net_conn *c, struct slice *in)
{
    struct err err;
    enum net_tls_shake step = net_tls_stream_shake(c->tls, in, &err);

    if (step == NET_TLS_REFUSED)
        net_conn_break_off(c, &err);
    if (step == NET_TLS_SECURED)
        c->is_shaking = false;
    net_conn_out_flush(c);
}

void
net_conn_in_shake(struct net_conn *c)
{
    struct slice nothing = {0};
    struct err err;

    if (net_conn_in_left(c) == 0) {
        shake(c, &nothing);
        return;
    }
    /* What came in clear must never be taken for something that came under
     * TLS (CVE-2011-0411, CVE-2021-38371). */
    err_set(&err, ERR_TLS, "octets in clear behind STARTTLS");
    net_conn_break_off(c, &err);
    buf_free(&c->kept);
    c->kept_from = 0;
}

/* Gives the owner what is kept, and fresh octets behind it. */
void
net_conn_in_give(struct net_conn *c, struct slice fresh)
{
    struct slice in = fresh;
    bool was_clear = !c->tls;
    bool is_kept = net_conn_in_left(c) > 0;
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
        net_conn_advance(&c->kept, &c->kept_from, used);
    else
        buf_add(&c->kept, slice_from(in, used));
    if (was_clear && c->tls)
        net_conn_in_shake(c);
}

/* The handshake is done: tells the owner, then sends what had to wait. */
static void
welcome(struct net_conn *c)
{
    net_conn_out_encrypt(c, buf_slice(&c->delayed));
    buf_free(&c->delayed);
    net_conn_out_flush(c);
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
    while (got > 0 && net_conn_in_may(c)) {
        if (!net_tls_stream_read(c->tls, &in, plain, &got, &err)) {
            net_conn_break_off(c, &err);
            got = 0;
        }
        if (got > 0)
            net_conn_in_give(c, (struct slice){plain, got});
    }
    if (net_tls_stream_is_ended(c->tls))
        c->has_ended = true;
    if (c->is_closing)
        return;
    net_conn_out_flush(c);
    if (!c->has_ended)
        buf_add(&c->wire, in);
}

/* One read a turn, so that nobody starves the others on the loop. */
void
net_conn_in_receive(struct net_conn *c)
{
    char wire[WIRE_SIZE];
    size_t room = sizeof(wire);
    ssize_t n;

    if (!net_conn_in_may(c) || c->wire.len)
        return;
    if (!c->tls)
        room = KEPT_MAX - net_conn_in_left(c);
    n = recv(c->fd, wire, room, 0);
    if (n > 0 && c->tls) {
        digest(c, (struct slice){wire, (size_t)n});
    } else if (n > 0) {
        net_conn_in_give(c, (struct slice){wire, (size_t)n});
    } else if (n == 0) {
        c->has_ended = true;
    } else if (errno != EAGAIN && errno != EINTR) {
        net_conn_note_errno(c, "read");
        c->has_ended = true;
    }
}

/* Goes on with records that were put by. */
void
net_conn_in_resume(struct net_conn *c)
{
    if (c->wire.len && net_conn_in_may(c)) {
        scoped(buf_free) struct buf records = c->wire;

        c->wire = (struct buf){0};
        digest(c, buf_slice(&records));
    }
}

/* A close that leaves octets unread would make the kernel reset the
 * connection, and the reset may overtake what we sent last.  So we send our
 * FIN and read until the peer's, within the owner's time. */
void
net_conn_in_throw_away(struct net_conn *c)
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
