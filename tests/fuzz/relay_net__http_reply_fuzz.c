/* A response is judged the same way however it is cut; a body that is taken
 * keeps the limit and comes with status 200. */
#include "relay/net/http_reply.h"

#include <stdint.h>
#include <stdlib.h>

#define MUST(what)                                                             \
    do {                                                                       \
        if (!(what))                                                           \
            abort();                                                           \
    } while (0)

static bool
feed(struct net_http_reply *r, struct slice text, size_t step, struct err *err)
{
    for (size_t at = 0; at < text.len;) {
        struct slice part = slice_first(slice_from(text, at), step);

        if (!net_http_reply_feed(r, part, err))
            return false;
        at += part.len;
    }
    return true;
}

static bool
is_200(struct slice text)
{
    return text.len > 12 && memcmp(text.p, "HTTP/1.", 7) == 0 &&
           memcmp(text.p + 8, " 200", 4) == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    scoped(net_http_reply_free) struct net_http_reply *a =
        net_http_reply_new("text/plain");
    scoped(net_http_reply_free) struct net_http_reply *b =
        net_http_reply_new("text/plain");
    struct slice text = {(const char *)data, size};
    struct err err;
    bool ok = feed(a, text, SIZE_MAX, &err);

    MUST(feed(b, text, 1, &err) == ok);
    if (!ok)
        return 0;
    MUST(net_http_reply_is_whole(a) == net_http_reply_is_whole(b));
    MUST(net_http_reply_body(a).len <= NET_HTTP_REPLY_BODY_MAX);
    if (net_http_reply_end(a, &err))
        MUST(is_200(text));
    return 0;
}
