/*
 * relay/net/https - one HTTPS request, as strict as MTA-STS wants it.
 *
 * HTTP/1.1 over TLS 1.2 or later to addresses the caller has looked up.  Only
 * 200 is success, redirects are not followed, no cache, no compression; the
 * server's certificate must be valid for `host` (RFC 8461 section 3.3).
 *
 * Without TLS the same by HTTP, for hosts on loopback alone.
 *
 * A GET; or a POST, of which only the status of the response counts: any 2yz
 * is success.  A POST that asks for a media type is answered like a GET, and a
 * refusal (4yz) of that type is handed on with its body.
 */
#ifndef RELAY_NET_HTTPS_H
#define RELAY_NET_HTTPS_H

#include "relay/base/addr.h"
#include "relay/base/buf.h"
#include "relay/net/http_reply.h" /* the limits of a response */
#include "relay/net/tls.h"

#include <uv.h>

enum {
    NET_HTTPS_BODY_MAX = NET_HTTP_REPLY_BODY_MAX,
    NET_HTTPS_LIMIT_MS = 60 * 1000, /* in all; RFC 8461 section 3.3 */
};

struct net_https_request {
    struct net_tls *tls;    /* NULL: none, and any host may be meant */
    const char *host;       /* SNI, Host and reference name; a valid domain */
    const char *path;       /* "/.well-known/mta-sts.txt" */
    const char *media_type; /* of the answer; required, parameters ignored:
                               "text/plain" */
    const struct addr *addresses; /* with port; tried in order */
    size_t address_count;
    uint64_t limit_ms; /* in all */
    /* POST: the media type of `body`, and media_type may be NULL: no answer is
     * wanted; NULL: GET. */
    const char *body_type;
    struct slice body;
    const char *fields; /* more of them, whole lines; NULL: none */
};

struct net_https;

/* err NULL: `body` is whole and borrowed.  Else err says why; ERR_TLS for
 * certificate trouble, then `facts` (may be NULL) tells more.  With a refusal
 * that has one, `body` is there as well. */
typedef void net_https_fn(void *ctx, struct slice body, const struct err *err,
                          const struct net_tls_facts *facts);

/* Copies the request; its `tls` may be freed at once.  The rules of
 * relay/net/dial.h hold. */
void net_https_start(struct net_https **slot, uv_loop_t *loop,
                     const struct net_https_request *request,
                     net_https_fn *done, void *ctx);
void net_https_cancel(struct net_https **slot);

#endif
