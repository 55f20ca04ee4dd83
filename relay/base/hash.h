/* relay/base/hash - a hash that a stranger who lacks the key can't predict. */
#ifndef RELAY_BASE_HASH_H
#define RELAY_BASE_HASH_H

#include "relay/base/slice.h"

#include <stdint.h>

struct hash_key {
    uint64_t half[2];
};

/* SipHash-2-4. */
uint64_t hash_keyed(const struct hash_key *key, struct slice bytes);

#endif
