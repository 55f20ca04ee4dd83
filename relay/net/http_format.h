/* relay/net/http_format - writes the heads of HTTP/1.1 responses. */
#ifndef RELAY_NET_HTTP_FORMAT_H
#define RELAY_NET_HTTP_FORMAT_H

#include "relay/base/buf.h"

#include <stdint.h>

enum net_http_framing {
    NET_HTTP_LENGTH,  /* Content-Length */
    NET_HTTP_CHUNKED, /* Transfer-Encoding: chunked */
    NET_HTTP_CLOSE,   /* the end of the connection */
};

struct net_http_format {
    int status;
    const char *media_type; /* NULL: no body, no type */
    enum net_http_framing framing;
    size_t length;
    bool may_stay;       /* the connection */
    struct slice extra;  /* whole lines, each with its CRLF */
    bool has_policy;     /* `extra` brings a Content-Security-Policy */
    bool has_cache_rule; /* and a Cache-Control */
    int64_t unix_s;      /* now */
};

void net_http_format_head(const struct net_http_format *f, struct buf *out);

#endif
