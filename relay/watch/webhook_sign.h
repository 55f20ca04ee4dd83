/*
 * relay/watch/webhook_sign - shows a receiver that it was us who posted, and
 * when, by the scheme of Standard Webhooks (v1).
 */
#ifndef RELAY_WATCH_WEBHOOK_SIGN_H
#define RELAY_WATCH_WEBHOOK_SIGN_H

#include "relay/base/buf.h"

#include <stdint.h>

/* Appends the fields webhook-id, webhook-timestamp and webhook-signature, each
 * with its line end.  The signature is HMAC-SHA-256 of
 * "ID.TIMESTAMP.BODY"; the id holds no dot. */
void webhook_sign(struct slice key, const char *id, int64_t unix_s,
                  struct slice body, struct buf *out);

#endif
