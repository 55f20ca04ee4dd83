#include "relay/net/http_server_inside.h"
#include "relay/net/timer.h"

#include <assert.h>
#include <stdlib.h>
#include <strings.h>

/* --- what came --- */

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
    return net_http_header_next(r, name, 0);
}

const char *
net_http_header_next(const struct net_http_request *r, const char *name,
                     size_t skip)
{
    return net_http_parse_header(r->parse, name, skip);
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
net_http_receive(struct net_http_request *r, uint64_t max,
                 const struct net_http_sink *sink, void *ctx)
{
    assert(!r->sink && !r->has_begun);
    net_http_parse_allow(r->parse, max);
    r->sink = sink;
    r->sink_ctx = ctx;
    r->is_coming = true;
    if (r->session)
        r->began_ms = net_clock_steady();
}

void
net_http_more(struct net_http_request *r)
{
    struct net_http_session *s = r->session;

    r->waits = false;
    if (!s || !r->is_coming)
        return;
    net_conn_more(s->conn);
    if (s->has_ended && !net_conn_has_kept(s->conn))
        net_http_session_drop(s, false);
}

void
net_http_add_header(struct net_http_request *r, const char *name,
                    const char *value)
{
    assert(!r->has_begun && net_http_is_token(name));
    assert(!strpbrk(value, "\r\n"));
    if (strcasecmp(name, "Content-Security-Policy") == 0)
        r->has_policy = true;
    if (strcasecmp(name, "Cache-Control") == 0)
        r->has_cache_rule = true;
    buf_printf(&r->extra, "%s: %s\r\n", name, value);
}

/* The request's connection is gone. */
void
net_http_request_lose(struct net_http_request *r)
{
    bool was_coming = r->is_coming;

    r->session = NULL;
    r->is_coming = false;
    if (was_coming)
        r->sink->gone(r->sink_ctx);
}

void
net_http_request_head(const struct net_http_request *r, int status,
                      const char *media_type, size_t length, struct buf *out)
{
    struct net_http_format f = {
        .status = status,
        .media_type = media_type,
        .framing = r->framing,
        .length = length,
        .may_stay = r->may_stay,
        .extra = buf_slice(&r->extra),
        .has_policy = r->has_policy,
        .has_cache_rule = r->has_cache_rule,
        .unix_s = net_clock_wall() / 1000,
    };

    net_http_format_head(&f, out);
}

/* A client who does not read what is there for it loses its connection when
 * the limit is over. */
void
net_http_request_flush(struct net_http_request *r)
{
    struct net_conn *conn = r->session->conn;

    if (net_conn_is_full(conn))
        return;
    net_conn_send(conn, &r->pending);
    if (net_conn_is_full(conn))
        net_conn_limit(conn, r->changed ? NET_HTTP_STREAM_LIMIT_MS
                                        : NET_HTTP_LIMIT_MS);
}

/* The response is complete. */
static void
complete(struct net_http_request *r)
{
    struct net_http_session *s = r->session;

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
        net_http_session_go_on(s, net_conn_has_kept(s->conn));
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
        net_http_request_head(r, status, media_type, body->len, &out);
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
    net_http_request_head(r, status, media_type, 0, &out);
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
        net_http_request_flush(r);
        if (r->pending.len > NET_HTTP_PENDING_MAX)
            net_http_session_drop(r->session, false);
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
    r->changed_ctx = ctx;
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
