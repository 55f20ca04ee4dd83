/*
 * relay/daemon/login - one attempt to log in, from the engine's question to the
 * answer.
 *
 * Nobody learns from an answer, or from how long it takes, whether there is a
 * user of that name.  Belongs to a worker's thread; the rules of
 * relay/net/dial.h hold.
 */
#ifndef RELAY_DAEMON_LOGIN_H
#define RELAY_DAEMON_LOGIN_H

#include "relay/daemon/worker.h"
#include "smtp/server.h"

enum { LOGIN_NONCE_SIZE = 25 }; /* 18 octets as text, and a NUL */

/* Good during the call. */
struct login_ask {
    uint64_t sid; /* of the session, for the log */
    const struct addr *peer;
    const char *peer_text; /* for the log, as is: */
    const char *listener;
    bool is_tls;
    const struct smtp_server_auth *auth;
};

struct login;

typedef void login_fn(void *ctx, const struct mail_status *status);

/* At SMTP_SERVER_AUTH.  True: the answer is there, in *status.  False: it will
 * come by `done`. */
bool login_start(struct login **slot, struct worker *w,
                 const struct login_ask *ask, struct mail_status *status,
                 login_fn *done, void *ctx) must_use;
void login_cancel(struct login **slot);

/* At SMTP_SERVER_VERIFIER.  False: *status is the answer instead. */
bool login_verifier(struct worker *w, const struct login_ask *ask,
                    struct smtp_sasl_verifier *out,
                    char nonce[LOGIN_NONCE_SIZE],
                    struct mail_status *status) must_use;

/* The mechanisms that can be offered now: SMTP_SASL_BIT()s. */
unsigned login_mechanisms(struct relay *relay);

#endif
