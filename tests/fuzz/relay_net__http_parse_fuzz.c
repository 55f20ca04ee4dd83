/* A request is read the same way however it is cut, and a whole one keeps
 * every limit. */
#include "relay/net/http_parse.h"

#include "relay/base/own.h"

#include <stdint.h>
#include <stdlib.h>

#define MUST(what)                                                             \
    do {                                                                       \
        if (!(what))                                                           \
            abort();                                                           \
    } while (0)

static enum net_http_step
feed(struct net_http_parse *p, struct slice text, size_t step, size_t *total)
{
    enum net_http_step said = NET_HTTP_MORE;
    size_t used;

    *total = 0;
    while ((said == NET_HTTP_MORE || said == NET_HTTP_CONTINUE ||
            said == NET_HTTP_HEAD) &&
           (*total < text.len || said == NET_HTTP_HEAD)) {
        said = net_http_parse_feed(
            p, slice_first(slice_from(text, *total), step), &used);
        *total += used;
        MUST(used > 0 || said != NET_HTTP_MORE);
    }
    return said == NET_HTTP_CONTINUE ? NET_HTTP_MORE : said;
}

static void
check_whole(const struct net_http_parse *p)
{
    MUST(net_http_parse_path(p)[0] == '/');
    MUST(strlen(net_http_parse_path(p)) <= NET_HTTP_TARGET_MAX);
    MUST(net_http_parse_body(p).len <= NET_HTTP_BODY_MAX);
    MUST(net_http_parse_is_old(p) || net_http_parse_header(p, "host", 0));
}

/* Who stops at the head and takes the body in pieces gets the same one. */
static void
check_pieces(struct slice text, enum net_http_step expected,
             const struct net_http_parse *whole)
{
    scoped(net_http_parse_free) struct net_http_parse *p = net_http_parse_new();
    scoped(buf_free) struct buf body = {0};
    enum net_http_step said = NET_HTTP_MORE;
    size_t used, total = 0;

    net_http_parse_stop_at_head(p);
    while (said != NET_HTTP_WHOLE && said != NET_HTTP_REFUSED &&
           (total < text.len || said == NET_HTTP_HEAD)) {
        said = net_http_parse_feed(p, slice_first(slice_from(text, total), 7),
                                   &used);
        total += used;
        net_http_parse_take(p, &body);
    }
    if (said == NET_HTTP_CONTINUE)
        said = NET_HTTP_MORE;
    MUST(said == expected);
    if (said == NET_HTTP_WHOLE) {
        struct slice at_once = net_http_parse_body(whole);

        MUST(body.len == at_once.len);
        MUST(body.len == 0 || memcmp(body.p, at_once.p, body.len) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    scoped(net_http_parse_free) struct net_http_parse *a = net_http_parse_new();
    scoped(net_http_parse_free) struct net_http_parse *b = net_http_parse_new();
    struct slice text = {(const char *)data, size};
    size_t used_a, used_b;
    enum net_http_step said = feed(a, text, SIZE_MAX, &used_a);

    MUST(feed(b, text, 1, &used_b) == said);
    check_pieces(text, said, a);
    if (said == NET_HTTP_WHOLE) {
        MUST(used_a == used_b);
        check_whole(a);
    }
    if (said == NET_HTTP_REFUSED) {
        MUST(net_http_parse_status(a) == net_http_parse_status(b));
        MUST(net_http_parse_status(a) >= 400);
    }
    return 0;
}
