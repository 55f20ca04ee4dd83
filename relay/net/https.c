#include "relay/net/https.h"

#include "relay/base/mem.h"
#include "relay/base/secret.h"
#include "relay/net/conn.h"
#include "relay/net/dial.h"
#include "relay/net/http_reply.h"
#include "relay/net/timer.h"
#include "relay/net/tls_context.h"

#include <stdlib.h>

enum {
    CONNECT_MS = 10 * 1000, /* one address; the next may be better */
    HOST_MAX = 253,
    PORT = 443,
    PLAIN_PORT = 80,
};

struct net_https {
    struct net_https **slot; /* where our owner keeps us */
    uv_loop_t *loop;
    net_https_fn *done;
    void *ctx;

    struct net_tls *tls;
    char *host, *path, *media_type, *fields;
    char *body_type; /* NULL: GET */
    struct buf body;
    struct addr *addresses;
    size_t count, next; /* the address to be tried next */
    uint64_t deadline;  /* in the loop's time */

    const char *doing; /* for people */
    struct err early;  /* known at the start, told by the timer */
    struct net_timer *timer;
    struct net_dial *dial;
    struct net_conn *conn;
    struct net_http_reply *reply;
};

static void
destroy(struct net_https *h)
{
    net_dial_cancel(&h->dial);
    net_conn_close(&h->conn, 0);
    net_timer_free(&h->timer);
    net_http_reply_free(&h->reply);
    net_tls_free(&h->tls);
    free(h->host);
    free(h->path);
    free(h->media_type);
    free(h->fields);
    free(h->body_type);
    secret_buf_free(&h->body);
    free(h->addresses);
    free(h);
}

/* To be called last, by whatever the loop has called. */
static void
finish(struct net_https *h, const struct err *err)
{
    scoped(net_http_reply_free) struct net_http_reply *reply = take(&h->reply);
    const struct net_tls_facts *proven = h->conn ? net_conn_tls(h->conn) : NULL;
    struct net_tls_facts facts;
    struct slice body = {"", 0};
    net_https_fn *done = h->done;
    void *ctx = h->ctx;

    if (proven)
        facts = *proven;
    if (!err && h->media_type) {
        body = net_http_reply_body(reply);
        err = net_http_reply_refusal(reply);
    }
    *h->slot = NULL;
    destroy(h);
    done(ctx, body, err, proven ? &facts : NULL);
}

/* Err is ours to add to. */
static void
fail(struct net_https *h, struct err *err)
{
    err_in(err, "%s", h->doing);
    finish(h, err);
}

static uint64_t
time_left(const struct net_https *h)
{
    uint64_t now = uv_now(h->loop);

    return h->deadline > now ? h->deadline - now : 1;
}

static void
time_is_up(void *ctx)
{
    struct net_https *h = ctx;
    struct err err = h->early;

    if (err.kind) {
        finish(h, &err);
        return;
    }
    err_set(&err, ERR_TIMEOUT, "no end within the time limit");
    fail(h, &err);
}

/* --- the connection --- */

static void dial_next(struct net_https *h);

static void
send_request(struct net_https *h)
{
    unsigned port = addr_port(net_conn_peer(h->conn));
    struct buf out = {0};

    buf_printf(&out, "%s %s HTTP/1.1\r\nHost: %s",
               h->body_type ? "POST" : "GET", h->path, h->host);
    if (port != (h->tls ? PORT : PLAIN_PORT))
        buf_printf(&out, ":%u", port);
    buf_add_text(&out, "\r\nUser-Agent: Sealpost/" SEALPOST_VERSION "\r\n");
    if (h->body_type)
        buf_printf(&out, "Content-Type: %s\r\nContent-Length: %zu\r\n",
                   h->body_type, h->body.len);
    if (h->media_type)
        buf_printf(&out, "Accept: %s\r\n", h->media_type);
    if (h->fields)
        buf_add_text(&out, h->fields);
    buf_add_text(&out, "Accept-Encoding: identity\r\n"
                       "Connection: close\r\n\r\n");
    buf_add(&out, buf_slice(&h->body));
    net_conn_send(h->conn, &out);
    buf_free(&out);
}

/* A certificate that is no good is so at every address; a handshake that
 * never came about says something of this one. */
static void
secured(void *ctx, const struct err *err)
{
    struct net_https *h = ctx;
    const struct net_tls_facts *facts = net_conn_tls(h->conn);
    struct err why;

    if (!err) {
        h->doing = "HTTP";
        send_request(h);
    } else if (facts && facts->verdict == NET_TLS_BROKEN &&
               h->next < h->count) {
        net_conn_close(&h->conn, 0);
        dial_next(h);
    } else {
        why = *err;
        why.kind = ERR_TLS;
        fail(h, &why);
    }
}

static size_t
input(void *ctx, struct slice in)
{
    struct net_https *h = ctx;
    struct err err;

    if (!net_http_reply_feed(h->reply, in, &err))
        fail(h, &err);
    else if (net_http_reply_is_whole(h->reply))
        finish(h, NULL);
    return in.len;
}

static void
ended(void *ctx, const struct err *err)
{
    struct net_https *h = ctx;
    struct err why;

    if (err) {
        why = *err;
        fail(h, &why);
    } else if (net_conn_is_truncated(h->conn)) {
        /* A body without length would end wherever somebody cuts it off. */
        err_set(&why, ERR_TLS, "the peer hung up without close_notify");
        fail(h, &why);
    } else if (net_http_reply_end(h->reply, &why)) {
        finish(h, NULL);
    } else {
        fail(h, &why);
    }
}

/* The timer of the whole request sees to the time, and the one request never
 * fills the output. */
static void
nothing(void *ctx)
{
    (void)ctx;
}

static void
dialled(void *ctx, int fd, const struct err *err)
{
    static const struct net_conn_events events = {input, secured, nothing,
                                                  nothing, ended};
    struct net_https *h = ctx;
    struct net_tls_setup setup = {
        .tls = h->tls,
        .sni = h->host,
        .check = NET_TLS_CHECK_PKIX,
        .names = {h->host},
        .alpn = "http/1.1",
    };
    char text[ADDR_TEXT_SIZE];
    struct err why;

    if (!err) {
        h->doing = h->tls ? "TLS" : "HTTP";
        h->conn = net_conn_new(h->loop, fd, &events, h);
        net_conn_open(h->conn);
        if (h->tls)
            net_conn_start_tls(h->conn, &setup);
        else
            send_request(h);
    } else if (h->next < h->count) {
        dial_next(h);
    } else {
        why = *err;
        err_in(&why, "%s", addr_text_port(&h->addresses[h->next - 1], text));
        finish(h, &why);
    }
}

static void
dial_next(struct net_https *h)
{
    uint64_t share = time_left(h) / (h->count - h->next) + 1;

    h->doing = "connect";
    net_dial_start(&h->dial, h->loop, &h->addresses[h->next++], NULL,
                   share < CONNECT_MS ? share : CONNECT_MS, dialled, h);
}

/* --- the request --- */

/* Both go into the request's head as they are. */
static bool
check(const struct net_https_request *r, struct err *err)
{
    static const char address[] = "0123456789abcdefABCDEF.:[]";
    static const char name[] = "abcdefghijklmnopqrstuvwxyz"
                               "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._";
    size_t n = strspn(r->host, name);

    if (!r->tls && r->host[0] == '[')
        n = strspn(r->host, address);
    if (n == 0 || r->host[n] || n > HOST_MAX || r->host[n - 1] == '.')
        return err_set(err, ERR_INPUT, "not a host name");
    for (const char *c = r->path; *c; c++)
        if (*c <= ' ' || *c >= 0x7f)
            return err_set(err, ERR_INPUT, "not a path");
    if (r->path[0] != '/')
        return err_set(err, ERR_INPUT, "not a path");
    if (r->address_count == 0)
        return err_set(err, ERR_MISSING, "no address to connect to");
    return true;
}

void
net_https_start(struct net_https **slot, uv_loop_t *loop,
                const struct net_https_request *request, net_https_fn *done,
                void *ctx)
{
    struct net_https *h = mem_new(struct net_https);

    h->slot = slot;
    h->loop = loop;
    h->done = done;
    h->ctx = ctx;
    h->tls = request->tls ? net_tls_share(request->tls) : NULL;
    h->host = mem_text(request->host);
    h->path = mem_text(request->path);
    h->media_type = mem_text(request->media_type);
    h->body_type = mem_text(request->body_type);
    h->fields = mem_text(request->fields);
    buf_add(&h->body, request->body);
    h->count = request->address_count;
    h->addresses = mem_array(struct addr, h->count + 1);
    for (size_t i = 0; i < h->count; i++)
        h->addresses[i] = request->addresses[i];
    h->deadline = uv_now(loop) + request->limit_ms;
    h->reply = net_http_reply_new(request->media_type);
    if (request->body_type && request->media_type)
        net_http_reply_hear_refusals(h->reply);
    h->timer = net_timer_new(loop, time_is_up, h);
    *slot = h;
    if (check(request, &h->early)) {
        net_timer_set(h->timer, request->limit_ms);
        dial_next(h);
    } else {
        net_timer_set(h->timer, 0);
    }
}

void
net_https_cancel(struct net_https **slot)
{
    if (*slot)
        destroy(take(slot));
}
