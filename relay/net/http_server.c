#include "relay/base/mem.h"
#include "relay/base/own.h"
#include "relay/base/text.h"
#include "relay/net/http_server_inside.h"
#include "relay/net/timer.h"

#include <stdlib.h>

/* How long a connection may take to end in order, and when all of them have to;
 * and how many may do so at a time: they no longer count as sessions. */
enum { LINGER_MS = 5000, FAREWELL_MS = 500, LINGERING_MAX = 256 };

struct net_http_server {
    uv_loop_t *loop;
    net_http_fn *handler;
    net_http_fn *head; /* or NULL */
    void *ctx;
    size_t count;
    LIST_HEAD(, net_http_session) sessions;
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

void
net_http_session_drop(struct net_http_session *s, bool in_order)
{
    uint64_t linger_ms = in_order ? allow_linger(s->server) : 0;

    LIST_REMOVE(s, link);
    s->server->count--;
    net_http_parse_free(&s->parse);
    net_conn_close(&s->conn, linger_ms);
    s->is_dropped = true;
    if (s->current)
        net_http_request_lose(s->current);
    if (!s->in_handler)
        free(s);
}

static struct net_http_parse *
new_parse(const struct net_http_server *server)
{
    struct net_http_parse *p = net_http_parse_new();

    if (server->head)
        net_http_parse_stop_at_head(p);
    return p;
}

void
net_http_session_go_on(struct net_http_session *s, bool has_more)
{
    if (!s->may_stay || (s->has_ended && !has_more)) {
        net_http_session_drop(s, true);
        return;
    }
    s->parse = new_parse(s->server);
    net_conn_limit(s->conn, NET_HTTP_LIMIT_MS);
    if (has_more)
        net_conn_more(s->conn);
}

static void
add_error(int status, const char *why, struct buf *out)
{
    struct net_http_request none = {.framing = NET_HTTP_LENGTH};
    struct buf body = {0};

    buf_add_text(&body, "{\"error\": ");
    text_json(slice_of(why), &body);
    buf_add_text(&body, "}\n");
    net_http_request_head(&none, status, "application/json", body.len, out);
    buf_add(out, buf_slice(&body));
    buf_free(&body);
}

/* The session ends with an error of the client's. */
static void
refuse(struct net_http_session *s, int status, const char *why)
{
    struct buf out = {0};

    add_error(status, why, &out);
    net_conn_send(s->conn, &out);
    buf_free(&out);
    net_http_session_drop(s, true);
}

/* A client of HTTP/1.0 would want to hear that it may.  One whose body is still
 * coming may not. */
static void
note_stay(struct net_http_request *r)
{
    r->may_stay =
        net_http_parse_may_stay(r->parse) && !net_http_parse_is_old(r->parse);
}

static struct net_http_request *
new_request(struct net_http_session *s)
{
    struct net_http_request *r = mem_new(struct net_http_request);

    r->session = s;
    r->parse = take(&s->parse);
    r->peer = *net_conn_peer(s->conn);
    note_stay(r);
    r->is_head = strcmp(net_http_parse_method(r->parse), "HEAD") == 0;
    return r;
}

/* Around a call of the owner's, in which a request may be answered and the
 * session may end. */
static void
enter(struct net_http_session *s)
{
    s->in_handler = true;
    s->is_answered = false;
}

/* Returns false when the session is gone, or has gone on to the next
 * request. */
static bool
leave(struct net_http_session *s, bool has_more)
{
    s->in_handler = false;
    if (s->is_dropped)
        free(s);
    else if (s->is_answered)
        net_http_session_go_on(s, has_more);
    else
        return true;
    return false;
}

static void
handle(struct net_http_session *s, bool has_more)
{
    struct net_http_server *server = s->server;

    net_conn_limit(s->conn, 0);
    s->current = new_request(s);
    enter(s);
    server->handler(server->ctx, s->current);
    (void)leave(s, has_more);
}

/* Who is not heard of yet may still be told to go on waiting for the whole. */
static bool
show_head(struct net_http_session *s)
{
    struct net_http_server *server = s->server;
    struct net_http_request *r = s->current = new_request(s);

    enter(s);
    server->head(server->ctx, r);
    if (!leave(s, false))
        return false;
    if (r->sink)
        return true;
    s->current = NULL;
    s->parse = take(&r->parse);
    buf_free(&r->extra);
    free(r);
    return true;
}

/* False as with `leave`. */
static bool
give_piece(struct net_http_session *s, bool is_last, bool has_more)
{
    struct net_http_request *r = s->current;
    scoped(buf_free) struct buf octets = {0};

    net_http_parse_take(r->parse, &octets);
    r->octets += octets.len;
    if (octets.len == 0 && !is_last)
        return true;
    if (is_last) {
        r->is_coming = false;
        note_stay(r);
        net_conn_limit(s->conn, 0);
    }
    r->waits = true;
    enter(s);
    r->sink->piece(r->sink_ctx, &octets, is_last);
    return leave(s, has_more);
}

static void
invite(struct net_http_session *s)
{
    struct buf out = {0};

    buf_add_text(&out, "HTTP/1.1 100 Continue\r\n\r\n");
    net_conn_send(s->conn, &out);
    buf_free(&out);
}

static struct net_http_parse *
parse_of(const struct net_http_session *s)
{
    return s->current ? s->current->parse : s->parse;
}

/* A part of the body that is no piece yet. */
static void
take_part(struct net_http_session *s, bool is_last, bool has_more)
{
    if (s->current) {
        if (give_piece(s, is_last, has_more) && s->current->is_coming &&
            s->has_ended && !has_more)
            net_http_session_drop(s, false);
    } else if (is_last) {
        handle(s, has_more);
    }
}

/* True: a head is there, and nobody was told of it yet. */
static bool
step(struct net_http_session *s, struct slice in, size_t *used)
{
    struct net_http_parse *p = parse_of(s);

    switch (net_http_parse_feed(p, in, used)) {
    case NET_HTTP_HEAD:
        return true;
    case NET_HTTP_CONTINUE:
        invite(s);
        break;
    case NET_HTTP_MORE:
        take_part(s, false, *used < in.len);
        break;
    case NET_HTTP_WHOLE:
        take_part(s, true, *used < in.len);
        break;
    case NET_HTTP_REFUSED:
        *used = in.len;
        refuse(s, net_http_parse_status(p), net_http_parse_error(p)->text);
        break;
    }
    return false;
}

static size_t
input(void *ctx, struct slice in)
{
    struct net_http_session *s = ctx;
    size_t used, behind;

    if (s->current && (!s->current->is_coming || s->current->waits))
        return 0;
    if (!step(s, in, &used) || !show_head(s))
        return used;
    /* What stands behind the head, be it nothing. */
    (void)step(s, slice_from(in, used), &behind);
    return used + behind;
}

/* Does its body come fast enough, as far as it is for the client to say? */
static bool
may_go_on(struct net_http_request *r)
{
    uint64_t came = r->octets - r->mark;

    r->mark = r->octets;
    return (r->waits || came >= NET_HTTP_RECEIVE_MIN) &&
           net_clock_steady() - r->began_ms < NET_HTTP_RECEIVE_MS;
}

static bool
is_stream(const struct net_http_request *r)
{
    return r && r->changed;
}

/* The client will hear no more of it. */
static void
lose(struct net_http_session *s)
{
    struct net_http_request *r = s->current;
    bool was_stream = is_stream(r);

    net_http_session_drop(s, false);
    if (was_stream)
        r->changed(r->changed_ctx);
}

static void
late(void *ctx)
{
    struct net_http_session *s = ctx;

    if (s->current && s->current->is_coming && may_go_on(s->current))
        net_conn_limit(s->conn, NET_HTTP_LIMIT_MS);
    else if (s->current && !s->current->is_coming)
        lose(s);
    else if (!s->current && net_http_parse_is_empty(s->parse))
        net_http_session_drop(s, false);
    else
        refuse(s, 408, "the request took too long");
}

static void
ended(void *ctx, const struct err *err)
{
    struct net_http_session *s = ctx;

    s->has_ended = true;
    if (err || is_stream(s->current))
        lose(s);
    else if ((!s->current || (s->current->is_coming && !s->current->waits)) &&
             !net_conn_has_kept(s->conn))
        net_http_session_drop(s, true); /* a response may still be on its way */
}

static void
drained(void *ctx)
{
    struct net_http_session *s = ctx;

    if (!s->current || s->current->is_coming)
        return;
    net_conn_limit(s->conn, 0);
    net_http_request_flush(s->current);
    if (is_stream(s->current))
        s->current->changed(s->current->changed_ctx);
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

void
net_http_server_hear_heads(struct net_http_server *server, net_http_fn *head)
{
    server->head = head;
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
    struct net_http_session *s;

    if (server->count >= NET_HTTP_SESSIONS_MAX) {
        turn_away(fd);
        return;
    }
    s = mem_new(struct net_http_session);
    s->server = server;
    s->parse = new_parse(server);
    s->conn = net_conn_new(server->loop, fd, &events, s);
    LIST_INSERT_HEAD(&server->sessions, s, link);
    server->count++;
    net_conn_limit(s->conn, NET_HTTP_LIMIT_MS);
    net_conn_open(s->conn);
}

void
net_http_server_hurry(struct net_http_server *server)
{
    server->linger_ms = FAREWELL_MS;
}

void
net_http_server_cut(struct net_http_server *server)
{
    struct net_http_session *s, *next;

    for (s = LIST_FIRST(&server->sessions); s; s = next) {
        next = LIST_NEXT(s, link);
        if (s->current && s->current->is_coming)
            net_http_session_drop(s, false);
    }
}

void
net_http_server_free(struct net_http_server **slot)
{
    struct net_http_server *server = *slot;
    struct net_http_session *s;

    if (!server)
        return;
    *slot = NULL;
    net_http_server_hurry(server);
    while ((s = LIST_FIRST(&server->sessions)))
        net_http_session_drop(s, true);
    free(server);
}
