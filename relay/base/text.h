/*
 * relay/base/text - bytes from strangers, made fit for logs, replies and JSON.
 *
 * Nothing here fails: what can't be shown is replaced.
 */
#ifndef RELAY_BASE_TEXT_H
#define RELAY_BASE_TEXT_H

#include "relay/base/buf.h"

#include <stdint.h>

/* The character at the start of `in` and its length in octets; 0 when `in` is
 * empty or does not start with well-formed UTF-8 (RFC 3629 section 3). */
size_t text_next(struct slice in, uint32_t *code);

/* Neither a control character nor one that hides or reorders its neighbours
 * (directional marks, line separators, tags, noncharacters). */
bool text_may_show(uint32_t code);

bool text_is_utf8(struct slice in);

/* Appends what may be shown of `in`, one '?' for each character or stray octet
 * that may not; at most `max` octets, and never a part of a character. */
void text_clean(struct slice in, size_t max, struct buf *out);

/* Appends a JSON string literal with its quotes (RFC 8259 section 7).  A stray
 * octet becomes U+FFFD; what may not be shown is escaped. */
void text_json(struct slice in, struct buf *out);

#endif
