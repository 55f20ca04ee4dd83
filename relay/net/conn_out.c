#include "relay/net/conn_parts.h"

#include <errno.h>
#include <sys/socket.h>

size_t
net_conn_out_left(const struct net_conn *c)
{
    return c->out.len - c->out_from;
}

/* The peer's last words may still wait to be read, so a failure to send ends
 * nothing: reading goes on until it fails as well. */
static void
cut(struct net_conn *c, const char *what)
{
    net_conn_note_errno(c, what);
    c->is_cut = true;
    buf_free(&c->out);
    c->out_from = 0;
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

void
net_conn_out_flush(struct net_conn *c)
{
    size_t n;

    if (net_conn_out_left(c) == 0)
        return;
    n = send_now(c, slice_from(buf_slice(&c->out), c->out_from));
    if (!c->is_cut)
        net_conn_advance(&c->out, &c->out_from, n);
}

/* Most output never sees the queue.  What the kernel does not take is not
 * copied either: the queue takes the owner's memory over. */
void
net_conn_out_clear(struct net_conn *c, struct buf *out)
{
    size_t sent = 0;

    if (net_conn_out_left(c) > 0) {
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
net_conn_out_encrypt(struct net_conn *c, struct slice plain)
{
    struct err err;

    if (plain.len && !net_tls_stream_write(c->tls, plain, &err))
        net_conn_break_off(c, &err);
}
