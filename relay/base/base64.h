/*
 * relay/base/base64 - octets as text and back, RFC 4648 section 4.
 *
 * Reading is strict: no line breaks, no missing or stray padding, and no bits
 * that the octets do not account for, so that a value has one form only.
 */
#ifndef RELAY_BASE_BASE64_H
#define RELAY_BASE_BASE64_H

#include "relay/base/buf.h"
#include "relay/base/own.h"

/* Appends the text of `octets`, with its padding. */
void base64_add(struct slice octets, struct buf *out);

/* Appends the octets of `text`.  False: it is no base64, and `out` is as it
 * was. */
bool base64_read(struct slice text, struct buf *out) must_use;

#endif
