#include "relay/net/http_server.h"

#include "relay/base/mem.h"
#include "relay/base/own.h"
#include "relay/net/conn.h"
#include "relay/net/http_format.h"
#include "relay/net/timer.h"

#include <assert.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/queue.h>

/* How long a connection may take to end in order, and when all of them have to;
 * and how many may do so at a time: they no longer count as sessions. */
enum { LINGER_MS = 5000, FAREWELL_MS = 500, LINGERING_MAX = 256 };

/* A request whose connection has gone has no session any more; a session has
 * at most one request, and what the client sends meanwhile waits. */
struct net_http_request {
    struct session *session;
    struct net_http_parse *parse;
    struct addr peer;
    bool may_stay, is_head;
    enum net_http_framing framing; /* of a response that has begun */
    bool has_begun, has_policy;
    struct buf extra;            /* header lines of the response */
    struct buf pending;          /* parts the connection had no room for */
    net_http_stream_fn *changed; /* of a stream, else NULL */
    void *ctx;
};

struct session {
    struct net_http_server *server;
    struct net_conn *conn;
    struct net_http_parse *parse; /* of the request that is coming */
    struct net_http_request *current;
    bool may_stay;    /* as the last request said */
    bool has_ended;   /* the client will send no more */
    bool in_handler;  /* `handle` runs: */
    bool is_answered; /*   the request was answered meanwhile */
    bool is_dropped;  /*   the session is to be freed behind it */
    LIST_ENTRY(session) link;
};

struct net_http_server {
    uv_loop_t *loop;
    net_http_fn *handler;
    void *ctx;
    size_t count;
    LIST_HEAD(, session) sessions;
    uint64_t linger_ms;
    uint64_t lingering[LINGERING_MAX]; /* a ring: until when, at the latest */
    size_t first, last;                /* only grow */
};

/* --- sessions --- */

/* How long the next connection to be closed may linger. */
static uint64_t
allow_linger(struct net_http_server *server)
{
    uint64_t now = uv_now(server->loop);

    while (server->first < server->last &&
           server->lingering[server->first % LINGERING_MAX] <= now)
        server->first++;
    if (server->last - server->first == LINGERING_MAX)
        return 0;
    server->lingering[server->last++ % LINGERING_MAX] = now + server->linger_ms;
    return server->linger_ms;
}

static void
drop(struct session *s, bool in_order)
{
    uint64_t linger_ms = in_order ? allow_linger(s->server) : 0;

    LIST_REMOVE(s, link);
    s->server->count--;
    if (s->current)
        s->current->session = NULL;
    net_http_parse_free(&s->parse);
    net_conn_close(&s->conn, linger_ms);
    s->is_dropped = true;
    if (!s->in_handler)
        free(s);
}

/* Ready for the next request, unless there can be none. */
static void
go_on(struct session *s, bool has_more)
{
    if (!s->may_stay || (s->has_ended && !has_more)) {
        drop(s, true);
        return;
    }
    s->parse = net_http_parse_new();
    net_conn_limit(s->conn, NET_HTTP_LIMIT_MS);
    if (has_more)
        net_conn_more(s->conn);
}

static void
add_head(const struct net_http_request *r, int status, const char *media_type,
         size_t length, struct buf *out)
{
    struct net_http_format f = {
        .status = status,
        .media_type = media_type,
        .framing = r->framing,
        .length = length,
        .may_stay = r->may_stay,
        .extra = buf_slice(&r->extra),
        .has_policy = r->has_policy,
        .unix_s = net_clock_wall() / 1000,
    };

    net_http_format_head(&f, out);
}

static void
add_error(int status, const char *why, struct buf *out)
{
    struct net_http_request none = {.framing = NET_HTTP_LENGTH};
    struct buf body = {0};

    buf_printf(&body, "%s: %s\n", net_http_format_reason(status), why);
    add_head(&none, status, "text/plain; charset=utf-8", body.len, out);
    buf_add(out, buf_slice(&body));
    buf_free(&body);
}

/* The session ends with an error of the client's. */
static void
refuse(struct session *s, int status, const char *why)
{
    struct buf out = {0};

    add_error(status, why, &out);
    net_conn_send(s->conn, &out);
    buf_free(&out);
    drop(s, true);
}

static struct net_http_request *
new_request(struct session *s)
{
    struct net_http_request *r = mem_new(struct net_http_request);

    r->session = s;
    r->parse = take(&s->parse);
    r->peer = *net_conn_peer(s->conn);
    /* A client of HTTP/1.0 would want to hear that it may. */
    r->may_stay =
        net_http_parse_may_stay(r->parse) && !net_http_parse_is_old(r->parse);
    r->is_head = strcmp(net_http_parse_method(r->parse), "HEAD") == 0;
    return r;
}

/* Returns false when the session is gone. */
static bool
handle(struct session *s, bool has_more)
{
    struct net_http_server *server = s->server;

    net_conn_limit(s->conn, 0);
    s->current = new_request(s);
    s->in_handler = true;
    s->is_answered = false;
    server->handler(server->ctx, s->current);
    s->in_handler = false;
    if (s->is_dropped) {
        free(s);
        return false;
    }
    if (s->is_answered)
        go_on(s, has_more);
    return true;
}

static void
invite(struct session *s)
{
    struct buf out = {0};

    buf_add_text(&out, "HTTP/1.1 100 Continue\r\n\r\n");
    net_conn_send(s->conn, &out);
    buf_free(&out);
}

static size_t
input(void *ctx, struct slice in)
{
    struct session *s = ctx;
    size_t used;

    if (s->current)
        return 0;
    switch (net_http_parse_feed(s->parse, in, &used)) {
    case NET_HTTP_MORE:
        break;
    case NET_HTTP_CONTINUE:
        invite(s);
        break;
    case NET_HTTP_WHOLE:
        handle(s, used < in.len);
        break;
    case NET_HTTP_REFUSED:
        refuse(s, net_http_parse_status(s->parse),
               net_http_parse_error(s->parse)->text);
        return in.len;
    }
    return used;
}

/* Behind whatever was done to its session. */
static void
tell_stream(struct net_http_request *r)
{
    if (r && r->changed)
        r->changed(r->ctx);
}

static void
late(void *ctx)
{
    struct session *s = ctx;
    struct net_http_request *r = s->current;

    if (r || net_http_parse_is_empty(s->parse))
        drop(s, false);
    else
        refuse(s, 408, "the request took too long");
    tell_stream(r);
}

static void
ended(void *ctx, const struct err *err)
{
    struct session *s = ctx;
    struct net_http_request *r = s->current;

    s->has_ended = true;
    if (err || (r && r->changed)) {
        drop(s, false);
        tell_stream(r);
    } else if (!s->current && !net_conn_has_kept(s->conn))
        drop(s, true); /* a response may still be on its way */
}

/* A client who does not read what is there for it loses its connection when
 * the limit is over. */
static void
send_pending(struct net_http_request *r)
{
    struct net_conn *conn = r->session->conn;

    if (net_conn_is_full(conn))
        return;
    net_conn_send(conn, &r->pending);
    if (net_conn_is_full(conn))
        net_conn_limit(conn, r->changed ? NET_HTTP_STREAM_LIMIT_MS
                                        : NET_HTTP_LIMIT_MS);
}

static void
drained(void *ctx)
{
    struct session *s = ctx;

    if (!s->current)
        return;
    net_conn_limit(s->conn, 0);
    send_pending(s->current);
    tell_stream(s->current);
}

/* No TLS here: whoever wants it puts a proxy in front. */
static void
secured(void *ctx, const struct err *err)
{
    (void)ctx, (void)err;
}

/* --- the server --- */

struct net_http_server *
net_http_server_new(uv_loop_t *loop, net_http_fn *handler, void *ctx)
{
    struct net_http_server *server = mem_new(struct net_http_server);

    server->loop = loop;
    server->handler = handler;
    server->ctx = ctx;
    server->linger_ms = LINGER_MS;
    LIST_INIT(&server->sessions);
    return server;
}

static void
turn_away(int fd)
{
    struct buf out = {0};

    add_error(503, "too many connections", &out);
    (void)!send(fd, out.p, out.len, MSG_DONTWAIT | MSG_NOSIGNAL);
    buf_free(&out);
    own_close(&fd);
}

void
net_http_server_add(struct net_http_server *server, int fd)
{
    static const struct net_conn_events events = {input, secured, drained, late,
                                                  ended};
    struct session *s;

    if (server->count >= NET_HTTP_SESSIONS_MAX) {
        turn_away(fd);
        return;
    }
    s = mem_new(struct session);
    s->server = server;
    s->parse = net_http_parse_new();
    s->conn = net_conn_new(server->loop, fd, &events, s);
    LIST_INSERT_HEAD(&server->sessions, s, link);
    server->count++;
    net_conn_limit(s->conn, NET_HTTP_LIMIT_MS);
    net_conn_open(s->conn);
}

void
net_http_server_free(struct net_http_server **slot)
{
    struct net_http_server *server = *slot;
    struct session *s;

    if (!server)
        return;
    *slot = NULL;
    server->linger_ms = FAREWELL_MS;
    while ((s = LIST_FIRST(&server->sessions)))
        drop(s, true);
    free(server);
}

/* --- requests --- */

const char *
net_http_method(const struct net_http_request *r)
{
    return r->is_head ? "GET" : net_http_parse_method(r->parse);
}

const char *
net_http_path(const struct net_http_request *r)
{
    return net_http_parse_path(r->parse);
}

const char *
net_http_query(struct net_http_request *r, const char *name)
{
    return net_http_parse_param(r->parse, name);
}

const char *
net_http_header(const struct net_http_request *r, const char *name)
{
    return net_http_parse_header(r->parse, name);
}

struct slice
net_http_body(const struct net_http_request *r)
{
    return net_http_parse_body(r->parse);
}

const struct addr *
net_http_peer(const struct net_http_request *r)
{
    return &r->peer;
}

void
net_http_add_header(struct net_http_request *r, const char *name,
                    const char *value)
{
    assert(!r->has_begun && net_http_is_token(name));
    assert(!strpbrk(value, "\r\n"));
    if (strcasecmp(name, "Content-Security-Policy") == 0)
        r->has_policy = true;
    buf_printf(&r->extra, "%s: %s\r\n", name, value);
}

/* The response is complete. */
static void
complete(struct net_http_request *r)
{
    struct session *s = r->session;

    if (s) {
        s->current = NULL;
        s->may_stay = r->may_stay;
    }
    net_http_parse_free(&r->parse);
    buf_free(&r->extra);
    buf_free(&r->pending);
    free(r);
    if (s && s->in_handler)
        s->is_answered = true;
    else if (s)
        go_on(s, net_conn_has_kept(s->conn));
}

static bool
has_body(const struct net_http_request *r, int status)
{
    return !r->is_head && status != 204 && status != 304;
}

void
net_http_respond(struct net_http_request *r, int status, const char *media_type,
                 struct buf *body)
{
    struct buf out = {0};

    assert(!r->has_begun);
    if (r->session) {
        r->framing = NET_HTTP_LENGTH;
        add_head(r, status, media_type, body->len, &out);
        net_conn_send(r->session->conn, &out);
        if (has_body(r, status))
            net_conn_send(r->session->conn, body);
        buf_free(&out);
    }
    buf_clear(body);
    complete(r);
}

void
net_http_begin(struct net_http_request *r, int status, const char *media_type)
{
    struct buf out = {0};

    assert(!r->has_begun && status != 204 && status != 304);
    r->has_begun = true;
    r->framing = NET_HTTP_CHUNKED;
    /* RFC 9112 section 6.1: HTTP/1.0 knows no chunks. */
    if (net_http_parse_is_old(r->parse)) {
        r->framing = NET_HTTP_CLOSE;
        r->may_stay = false;
    }
    if (!r->session)
        return;
    add_head(r, status, media_type, 0, &out);
    net_conn_send(r->session->conn, &out);
    buf_free(&out);
}

static void
add_chunk(struct net_http_request *r, struct slice bytes)
{
    if (r->framing == NET_HTTP_CHUNKED)
        buf_printf(&r->pending, "%zx\r\n", bytes.len);
    buf_add(&r->pending, bytes);
    if (r->framing == NET_HTTP_CHUNKED)
        buf_add_text(&r->pending, "\r\n");
}

bool
net_http_part(struct net_http_request *r, struct buf *part)
{
    assert(r->has_begun);
    /* An empty chunk would be the last one. */
    if (r->session && !r->is_head && part->len > 0) {
        add_chunk(r, buf_slice(part));
        send_pending(r);
        if (r->pending.len > NET_HTTP_PENDING_MAX)
            drop(r->session, false);
    }
    buf_clear(part);
    return r->session != NULL;
}

void
net_http_end(struct net_http_request *r)
{
    assert(r->has_begun);
    if (r->session && !r->is_head) {
        if (r->framing == NET_HTTP_CHUNKED)
            buf_add_text(&r->pending, "0\r\n\r\n");
        net_conn_send(r->session->conn, &r->pending);
    }
    complete(r);
}

void
net_http_stream(struct net_http_request *r, net_http_stream_fn *changed,
                void *ctx)
{
    assert(r->has_begun);
    r->changed = changed;
    r->ctx = ctx;
}

bool
net_http_is_full(const struct net_http_request *r)
{
    return r->session &&
           (r->pending.len > 0 || net_conn_is_full(r->session->conn));
}

bool
net_http_is_gone(const struct net_http_request *r)
{
    return !r->session || r->is_head;
}
