/*
 * relay/daemon/token_fetch - one question to a token endpoint: its address,
 * HTTPS, the answer.  Belongs to the thread of `dns`.
 */
#ifndef RELAY_DAEMON_TOKEN_FETCH_H
#define RELAY_DAEMON_TOKEN_FETCH_H

#include "relay/daemon/token_grant.h"
#include "relay/net/dns.h"
#include "relay/net/tls.h"

enum { TOKEN_FETCH_LIMIT_MS = 30 * 1000 };

struct token_fetch;

struct token_fetch_place {
    struct net_dns *dns;
    struct net_tls *tls;
    const char *host; /* A-label form */
    unsigned port;
    const char *path;
    bool ipv6;
};

/* err NULL: the grant is the callee's, who may take it apart. */
typedef void token_fetch_fn(void *ctx, struct token_grant *grant,
                            const struct err *err);

/* Copies what it is given, but for `dns` and `tls`, which outlive it.  The
 * rules of relay/net/dial.h hold. */
void token_fetch_start(struct token_fetch **slot, uv_loop_t *loop,
                       const struct token_fetch_place *place,
                       const struct token_grant_ask *ask, token_fetch_fn *done,
                       void *ctx);
void token_fetch_cancel(struct token_fetch **slot);

#endif
