/*
 * relay/net/http_server_inside - what the files of the server share; nobody
 * else's.
 *
 * Connections and what comes on them are in http_server.c, what a handler may
 * ask and answer in http_request.c.
 */
#ifndef RELAY_NET_HTTP_SERVER_INSIDE_H
#define RELAY_NET_HTTP_SERVER_INSIDE_H

#include "relay/net/conn.h"
#include "relay/net/http_format.h"
#include "relay/net/http_server.h"

#include <sys/queue.h>

/* A request whose connection has gone has no session any more; a session has
 * at most one request, and what the client sends meanwhile waits. */
struct net_http_request {
    struct net_http_session *session;
    struct net_http_parse *parse;
    struct addr peer;
    bool may_stay, is_head;
    enum net_http_framing framing; /* of a response that has begun */
    bool has_begun, has_policy, has_cache_rule;
    net_http_stream_fn *changed; /* of a response that is a stream; or NULL */
    void *changed_ctx;
    const struct net_http_sink *sink; /* NULL: the body is gathered */
    void *sink_ctx;
    bool is_coming; /* in pieces, and the last one was not given yet */
    bool waits;     /* for net_http_more */
    uint64_t octets, mark;
    int64_t began_ms;   /* of pieces; what they were at the last
                   look, and when they began */
    struct buf extra;   /* header lines of the response */
    struct buf pending; /* parts the connection had no room for */
};

struct net_http_session {
    struct net_http_server *server;
    struct net_conn *conn;
    struct net_http_parse *parse; /* of the request that is coming */
    struct net_http_request *current;
    bool may_stay;    /* as the last request said */
    bool has_ended;   /* the client will send no more */
    bool in_handler;  /* `handle` runs: */
    bool is_answered; /*   the request was answered meanwhile */
    bool is_dropped;  /*   the session is to be freed behind it */
    LIST_ENTRY(net_http_session) link;
};

/* --- http_server.c --- */

void net_http_session_drop(struct net_http_session *s, bool in_order);

/* Ready for the next request, unless there can be none. */
void net_http_session_go_on(struct net_http_session *s, bool has_more);

/* --- http_request.c --- */

void net_http_request_head(const struct net_http_request *r, int status,
                           const char *media_type, size_t length,
                           struct buf *out);
/* Parts that wait go out as far as the connection has room. */
void net_http_request_flush(struct net_http_request *r);
/* Its connection is gone. */
void net_http_request_lose(struct net_http_request *r);

#endif
