/*
 * relay/net/http_reply - reads the response to one request out of a byte
 * stream.
 *
 * As strict as RFC 8461 section 3.3 wants it: 200 and nothing else is success,
 * the media type is the one expected, the content is not encoded, and its end
 * is known for certain, because a policy that was cut off may still parse.
 * relay/net/http_head checks the head, llhttp decides where the body ends.
 * It does no I/O.
 *
 * Where a refusal has something to say, it is read like an answer: 4yz with a
 * body of the type expected.
 */
#ifndef RELAY_NET_HTTP_REPLY_H
#define RELAY_NET_HTTP_REPLY_H

#include "relay/base/err.h"
#include "relay/base/own.h"
#include "relay/base/slice.h"

enum {
    NET_HTTP_REPLY_BODY_MAX = 64 * 1024,  /* RFC 8461 section 3.3 */
    NET_HTTP_REPLY_EXTENSIONS_MAX = 4096, /* of all chunks together */
    /* The body with all chunk heads: room for chunks of one octet. */
    NET_HTTP_REPLY_FRAMING_MAX = 8 * NET_HTTP_REPLY_BODY_MAX,
};

struct net_http_reply;

/* `media_type` NULL: the answer to a POST.  Any 2yz is success, and what comes
 * behind the head is not looked at. */
struct net_http_reply *net_http_reply_new(const char *media_type);
void net_http_reply_free(struct net_http_reply **r);

/* Once it has failed it stays failed.  What comes behind a whole response is
 * ignored: the connection was to be closed. */
bool net_http_reply_feed(struct net_http_reply *r, struct slice in,
                         struct err *err) must_use;

/* The server has ended the connection in order.  True: the response is whole;
 * only now, when nothing else told its length. */
bool net_http_reply_end(struct net_http_reply *r, struct err *err) must_use;

/* Before the first feed: 4yz is whole, too, when its body is of the type. */
void net_http_reply_hear_refusals(struct net_http_reply *r);
/* Of a whole response: NULL, or that it was a refusal. */
const struct err *net_http_reply_refusal(const struct net_http_reply *r);

bool net_http_reply_is_whole(const struct net_http_reply *r);
struct slice net_http_reply_body(const struct net_http_reply *r); /* borrowed */

#endif
