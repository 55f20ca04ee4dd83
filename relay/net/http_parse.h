/*
 * relay/net/http_parse - reads one HTTP/1 request out of a stream of bytes.
 *
 * relay/net/http_head checks and splits the head, llhttp decides where the
 * body ends, this keeps the limits and says which status a request deserves
 * that can't be served.  It does no I/O.
 */
#ifndef RELAY_NET_HTTP_PARSE_H
#define RELAY_NET_HTTP_PARSE_H

#include "relay/base/buf.h"
#include "relay/net/http_head.h"

#include <stdint.h>

enum {
    NET_HTTP_TARGET_MAX = 4096,
    NET_HTTP_BODY_MAX = 64 * 1024,
    NET_HTTP_PARAMS_MAX = 32, /* of a query string */
    NET_HTTP_FRAMING_MAX = 8, /* the body with all chunk heads has at most so
                                 many times the octets a body may have */
    NET_HTTP_EXTENSIONS_MAX = 4096, /* of all chunks of a body together */
};

enum net_http_step {
    NET_HTTP_MORE,     /* the request is not whole yet */
    NET_HTTP_HEAD,     /* nor this; but all that stands in front of its body is
                          there.  Seen once, by who asked for it, when there
                          is a body; the body's octets were not looked at. */
    NET_HTTP_CONTINUE, /* nor this; but the client waits for 100 (RFC 9110
                          section 10.1.1).  Seen once. */
    NET_HTTP_WHOLE,
    NET_HTTP_REFUSED, /* `status` and `why` tell; nothing more is read */
};

struct net_http_parse;

struct net_http_parse *net_http_parse_new(void);
void net_http_parse_free(struct net_http_parse **p);

/* Takes bytes of the request, never of the next one, and says how many. */
enum net_http_step net_http_parse_feed(struct net_http_parse *p,
                                       struct slice in, size_t *used);
/* Before the first byte: says NET_HTTP_HEAD. */
void net_http_parse_stop_at_head(struct net_http_parse *p);
/* At NET_HTTP_HEAD: how long the body may be, instead of NET_HTTP_BODY_MAX. */
void net_http_parse_allow(struct net_http_parse *p, uint64_t body_max);
/* Moves the octets of the body that have come so far to the end of `out`. */
void net_http_parse_take(struct net_http_parse *p, struct buf *out);
bool net_http_parse_is_empty(const struct net_http_parse *p); /* no byte yet */

/* Of a refused request; `err` says why. */
int net_http_parse_status(const struct net_http_parse *p);
const struct err *net_http_parse_error(const struct net_http_parse *p);

/* Of a whole request, or, but for its body, at NET_HTTP_HEAD; all borrowed. */
const char *net_http_parse_method(const struct net_http_parse *p);
const char *net_http_parse_path(const struct net_http_parse *p); /* raw */
const char *net_http_parse_param(const struct net_http_parse *p,
                                 const char *name); /* decoded, or NULL */
/* The field of that name behind `skip` others of it, or NULL. */
const char *net_http_parse_header(const struct net_http_parse *p,
                                  const char *name, size_t skip);
struct slice net_http_parse_body(const struct net_http_parse *p);
bool net_http_parse_is_old(const struct net_http_parse *p);   /* HTTP/1.0 */
bool net_http_parse_may_stay(const struct net_http_parse *p); /* keep-alive */

#endif
