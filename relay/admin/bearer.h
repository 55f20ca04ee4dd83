/*
 * relay/admin/bearer - the token that a request over TCP brings.
 *
 * Who has brought too many wrong ones is answered 429 before the next is
 * looked at: relay/guard/guesses counts.  Runs on the main loop.
 */
#ifndef RELAY_ADMIN_BEARER_H
#define RELAY_ADMIN_BEARER_H

#include "relay/daemon/relay.h"
#include "relay/net/http_server.h"

/* False: the request has been answered, 429.  *is_good: it brings the token;
 * never where none is configured. */
bool admin_bearer(struct relay *relay, struct net_http_request *r,
                  bool *is_good) must_use;

/* Is this the value of an Authorization field with the token?  Takes as long
 * for any wrong one of the same length. */
bool admin_bearer_is_token(const char *field, const char *token);

#endif
