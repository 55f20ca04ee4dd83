/*
 * relay/daemon/token_grant - what is said to a token endpoint, and what it
 * answers (RFC 6749), without I/O.
 *
 * With a refresh token it is used (section 6), else the client's own
 * credentials (section 4.4).  The client shows its secret in the body (section
 * 2.3.1), which is what Microsoft and Google document.
 */
#ifndef RELAY_DAEMON_TOKEN_GRANT_H
#define RELAY_DAEMON_TOKEN_GRANT_H

#include "relay/base/buf.h"
#include "relay/base/err.h"
#include "relay/base/own.h"

#include <stdint.h>

enum {
    TOKEN_GRANT_MAX = 8192,    /* octets of a token */
    TOKEN_GRANT_LIFE_S = 3600, /* where the server says nothing of it */
    TOKEN_GRANT_LIFE_MAX_S = 7 * 86400,
};

/* None of them NULL; "" is not sent. */
struct token_grant_ask {
    const char *client_id, *client_secret, *refresh_token, *scope;
};

/* Appends an application/x-www-form-urlencoded body. */
void token_grant_form(const struct token_grant_ask *ask, struct buf *out);

struct token_grant {
    char *access;
    char *refresh; /* that takes the old one's place; NULL: it stays */
    int64_t life_s;
};

/* Out of the JSON of a 200 (section 5.1).  Its texts are the caller's. */
bool token_grant_read(struct slice json, struct token_grant *out,
                      struct err *err) must_use;
void token_grant_done(struct token_grant *g);

/* Appends what the JSON of a refusal (section 5.2) says, for people; nothing
 * when it says nothing.  Secrets that the server repeats are scrubbed. */
void token_grant_refusal(struct slice json, const struct token_grant_ask *ask,
                         struct buf *out);

#endif
