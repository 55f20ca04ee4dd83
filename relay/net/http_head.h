/*
 * relay/net/http_head - the head of an HTTP/1 message: gathered and split.
 *
 * Every byte is looked at before llhttp may see it: lines end in CRLF and in
 * nothing else, control characters do not occur, no line continues another,
 * a field name is a token with its colon right behind it (RFC 9112 sections
 * 2.2 and 5).  What passes can be read in one way only.
 */
#ifndef RELAY_NET_HTTP_HEAD_H
#define RELAY_NET_HTTP_HEAD_H

#include "relay/base/buf.h"
#include "relay/base/err.h"

enum {
    NET_HTTP_HEAD_MAX = 16 * 1024,
    NET_HTTP_HEADERS_MAX = 100,
};

struct net_http_field {
    const char *name, *value; /* the value without spaces around it */
};

enum net_http_head_state {
    NET_HTTP_HEAD_MORE,
    NET_HTTP_HEAD_WHOLE,
    NET_HTTP_HEAD_BROKEN,
};

/* Zeroed storage is an empty head. */
struct net_http_head {
    enum net_http_head_state state;
    struct buf text; /* as it came, with the empty line */
    size_t lines;    /* ended so far */
    size_t line_at;  /* where the line under way began */
    char *cut;       /* a copy of `text` whose parts end in NUL */
    const char *first;
    size_t first_max; /* longest first line; 0: only NET_HTTP_HEAD_MAX */
    struct net_http_field fields[NET_HTTP_HEADERS_MAX];
    size_t count;
};

/* Takes bytes up to the end of the head, and returns how many.  When the state
 * becomes BROKEN err says why: ERR_LIMIT, or ERR_INPUT. */
size_t net_http_head_feed(struct net_http_head *h, struct slice in,
                          struct err *err);
void net_http_head_done(struct net_http_head *h);

/* The first field of that name, whatever its case, or NULL. */
const char *net_http_head_find(const struct net_http_head *h, const char *name);
/* The same behind `skip` others of that name. */
const char *net_http_head_find_next(const struct net_http_head *h,
                                    const char *name, size_t skip);
size_t net_http_head_count(const struct net_http_head *h, const char *name);

bool net_http_is_token(const char *text);

#endif
