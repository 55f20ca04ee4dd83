/*
 * relay/admin/inject - POST /v1/messages: mail over HTTP.
 *
 * A body of message/rfc822 goes into the queue piece by piece while it comes;
 * one of JSON is gathered and made a message (relay/admin/draft).  Answered
 * 202 once it is durable.
 *
 * With an Idempotency-Key (draft-ietf-httpapi-idempotency-key-header) the
 * message is stored together with a receipt.  The same request once more gets
 * the same answer and sends nothing; another request by the same key is
 * refused.
 */
#ifndef RELAY_ADMIN_INJECT_H
#define RELAY_ADMIN_INJECT_H

#include "relay/base/err.h"
#include "relay/base/own.h"

enum {
    ADMIN_INJECT_JSON_MAX = 16 * 1024 * 1024, /* octets of a JSON body */
    /* Of all of them that are under way; with more the next one is told to come
     * again. */
    ADMIN_INJECT_JSON_ALL = 2 * ADMIN_INJECT_JSON_MAX,
};

/* The value of an Idempotency-Key field: a quoted string (RFC 9651 section
 * 3.3.3) or, as many clients send it, the bare octets of one; 1 to
 * QUEUE_RECEIPT_KEY_MAX of them. */
bool admin_inject_key(const char *field, char *out, struct err *err) must_use;

#endif
