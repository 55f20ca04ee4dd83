/*
 * relay/net/http_server - HTTP/1.1 requests on a connection (llhttp).
 *
 * Reads one request at a time, hands it over whole, sends the response.  Who
 * wants a long body gets it in pieces while it comes.  It checks bytes before
 * llhttp sees them (a bare CR is no line end) and keeps the limits that llhttp
 * has not.  What is no
 * request is answered here, by {"error": "what is wrong"}.  Knows no paths and
 * no meaning.
 */
#ifndef RELAY_NET_HTTP_SERVER_H
#define RELAY_NET_HTTP_SERVER_H

#include "relay/base/addr.h"
#include "relay/base/buf.h"
#include "relay/net/http_parse.h" /* the limits of a request */

#include <uv.h>

enum {
    NET_HTTP_LIMIT_MS = 10 * 1000, /* to send a whole request; to take a
                                      response */
    NET_HTTP_SESSIONS_MAX = 64,    /* per server; one more gets a 503 */
    /* A body that is streamed brings at least so many octets in each
     * NET_HTTP_LIMIT_MS, and is whole in NET_HTTP_RECEIVE_MS. */
    NET_HTTP_RECEIVE_MIN = 5000,
    NET_HTTP_RECEIVE_MS = 30 * 60 * 1000,
    /* Parts of a response that wait for a client who does not read; with more
     * of them the client counts as gone. */
    NET_HTTP_PENDING_MAX = 4 * 1024 * 1024,
    NET_HTTP_STREAM_LIMIT_MS = 60 * 1000, /* to take some of a stream */
};

struct net_http_server;
struct net_http_request; /* one request; lives until it is answered */

typedef void net_http_fn(void *ctx, struct net_http_request *request);

struct net_http_server *net_http_server_new(uv_loop_t *loop,
                                            net_http_fn *handler, void *ctx);
/* Before the first socket: `head` is told of a request as soon as its head is
 * there, when a body comes behind it.  It may answer, which ends the
 * connection; or call net_http_receive; else the request is handled once it is
 * whole. */
void net_http_server_hear_heads(struct net_http_server *s, net_http_fn *head);
/* Takes an accepted socket. */
void net_http_server_add(struct net_http_server *s, int fd);
/* From now on a connection has less time to end: the relay is about to. */
void net_http_server_hurry(struct net_http_server *s);
/* Loses the requests whose bodies are still on their way. */
void net_http_server_cut(struct net_http_server *s);
/* Closes all connections; requests not yet answered may still be answered,
 * which then only frees them. */
void net_http_server_free(struct net_http_server **s);

/* "GET"; so too for HEAD, whose response loses its body by itself. */
const char *net_http_method(const struct net_http_request *r);
/* "/v1/queue", as it came: begins with a slash, nothing decoded. */
const char *net_http_path(const struct net_http_request *r);
/* A query parameter, percent-decoded; NULL when absent. */
const char *net_http_query(struct net_http_request *r, const char *name);
const char *net_http_header(const struct net_http_request *r,
                            const char *name); /* or NULL */
/* The same, behind `skip` others of that name. */
const char *net_http_header_next(const struct net_http_request *r,
                                 const char *name, size_t skip);
struct slice net_http_body(const struct net_http_request *r);
/* Family AF_UNSPEC: a Unix socket. */
const struct addr *net_http_peer(const struct net_http_request *r);

/* Who gets a body in pieces. */
struct net_http_sink {
    /* The next octets, which may be taken out of `octets`; with `is_last` the
     * request is whole.  Else no more come before net_http_more. */
    void (*piece)(void *ctx, struct buf *octets, bool is_last);
    /* The client is gone, or too slow, before the body was whole.  The request
     * has still to be answered. */
    void (*gone)(void *ctx);
};

/* Only at its head: the body comes in pieces, at most `max` octets in all. A
 * request with more is answered 413 by itself, behind `gone`. */
void net_http_receive(struct net_http_request *r, uint64_t max,
                      const struct net_http_sink *sink, void *ctx);
void net_http_more(struct net_http_request *r);

/* Adds a field to the response's head; before it is begun.  Neither text may
 * hold a line end.  Content-Type, Content-Length, Transfer-Encoding,
 * Connection and Date are not for the caller; a Content-Security-Policy takes
 * the place of the usual one, which allows nothing, a Cache-Control that of
 * "no-store". */
void net_http_add_header(struct net_http_request *r, const char *name,
                         const char *value);

/* Answers, now or later (from the loop's thread), once; the request is gone
 * afterwards.  `body` is emptied. */
void net_http_respond(struct net_http_request *r, int status,
                      const char *media_type, struct buf *body);

/* For bodies of unknown length: begin, any number of parts, end.  Returns
 * false from `part` when the client is gone: end still has to be called. */
void net_http_begin(struct net_http_request *r, int status,
                    const char *media_type);
bool net_http_part(struct net_http_request *r, struct buf *part);
void net_http_end(struct net_http_request *r);

/* For a body that goes on and on, once it is begun: `changed` runs from the
 * loop when there is room again behind net_http_is_full, and when the client
 * has gone.  A client that hangs up its half counts as gone. */
typedef void net_http_stream_fn(void *ctx);
void net_http_stream(struct net_http_request *r, net_http_stream_fn *changed,
                     void *ctx);
/* More would only pile up. */
bool net_http_is_full(const struct net_http_request *r);
/* Nobody is there to read any more, or nobody ever wanted to (HEAD). */
bool net_http_is_gone(const struct net_http_request *r);

#endif
