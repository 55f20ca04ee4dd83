/*
 * relay/daemon/token_keeper - has an access token ready for one route.
 *
 *     new -> looks into the store -> GOOD, while the token lives
 *                     |               ^  renewed at four fifths of its life
 *                     +-> asks for one, by itself and again and again
 *                     v
 *                  FAILED, with the reason, when there is none to be had
 *
 * The token is kept in the store, so that a restart asks for none, and so is a
 * refresh token that the server has put in the place of the first one.  Both
 * lie there as they are: the file can be read by the relay's user alone.  What
 * was got with other settings or another first refresh token is not used.
 *
 * Main thread.  One question at a time.
 */
#ifndef RELAY_DAEMON_TOKEN_KEEPER_H
#define RELAY_DAEMON_TOKEN_KEEPER_H

#include "relay/daemon/relay.h"
#include "relay/daemon/token_fetch.h"

#define TOKEN_KEEPER_SHELF "oauth"

enum {
    TOKEN_KEEPER_AGAIN_MS = 15 * 1000, /* behind a failure; doubled each time */
    TOKEN_KEEPER_AGAIN_MAX_MS = 15 * 60 * 1000,
};

enum token_keeper_state {
    TOKEN_KEEPER_WAITS, /* for the store, or for an answer */
    TOKEN_KEEPER_GOOD,
    TOKEN_KEEPER_FAILED,
};

struct token_keeper;

/* Something has changed: the token, or the state. */
typedef void token_keeper_fn(void *ctx);

/* Copies the texts; `dns` outlives it, and so does the route's TLS, which is
 * its own from now on. */
struct token_keeper *token_keeper_new(struct relay *relay, const char *route,
                                      const struct token_fetch_place *place,
                                      const struct token_grant_ask *ask,
                                      token_keeper_fn *changed, void *ctx);
void token_keeper_free(struct token_keeper **k);

enum token_keeper_state token_keeper_state(const struct token_keeper *k);
const char *token_keeper_token(const struct token_keeper *k);  /* GOOD */
const char *token_keeper_why(const struct token_keeper *k);    /* FAILED */
int64_t token_keeper_expires_ms(const struct token_keeper *k); /* 0: no token */

/* The token is of no use: forgets it and asks for another one, `at_once` or
 * when there is a retry. */
void token_keeper_reject(struct token_keeper *k, bool at_once);
/* FAILED: asks again, unless it was a moment ago. */
void token_keeper_retry(struct token_keeper *k);

#endif
