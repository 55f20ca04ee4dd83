/*
 * relay/guard/digest - SHA-256 of octets that come in pieces, and comparing
 * what a stranger must not learn from the time that it takes.
 */
#ifndef RELAY_GUARD_DIGEST_H
#define RELAY_GUARD_DIGEST_H

#include "relay/base/slice.h"

enum { DIGEST_SIZE = 32 };

struct digest;

struct digest *digest_new(void);
void digest_free(struct digest **d);
void digest_add(struct digest *d, struct slice octets);
/* A text of its own: whatever stands before and behind it, no other texts give
 * the same digest. */
void digest_add_text(struct digest *d, struct slice text);
/* Once. */
void digest_end(struct digest *d, unsigned char out[DIGEST_SIZE]);

/* Takes as long for any two, but for their lengths. */
bool digest_same(struct slice a, struct slice b);

#endif
