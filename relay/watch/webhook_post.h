/*
 * relay/watch/webhook_post - one body to one webhook: its address, HTTPS, the
 * status of the answer.  Belongs to the thread of `dns`.
 */
#ifndef RELAY_WATCH_WEBHOOK_POST_H
#define RELAY_WATCH_WEBHOOK_POST_H

#include "relay/net/dns.h"
#include "relay/net/tls.h"

enum { WEBHOOK_POST_LIMIT_MS = 15 * 1000 };

struct webhook_post;

struct webhook_place {
    struct net_dns *dns; /* NULL: the host is loopback */
    struct net_tls *tls; /* NULL: in clear */
    const char *host;
    unsigned port;
    const char *path;
    bool ipv6;
};

/* err NULL: the receiver has it (2yz). */
typedef void webhook_post_fn(void *ctx, const struct err *err);

/* Copies what it is given, but for `dns` and `tls`, which outlive it.  `fields`
 * are whole lines of the request's head.  The rules of relay/net/dial.h
 * hold. */
void webhook_post_start(struct webhook_post **slot, uv_loop_t *loop,
                        const struct webhook_place *place, const char *fields,
                        struct slice body, webhook_post_fn *done, void *ctx);
void webhook_post_cancel(struct webhook_post **slot);

#endif
