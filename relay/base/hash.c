#include "relay/base/hash.h"

static uint64_t
rotate(uint64_t x, unsigned bits)
{
    return x << bits | x >> (64 - bits);
}

static void
mix(uint64_t v[4])
{
    v[0] += v[1], v[2] += v[3];
    v[1] = rotate(v[1], 13) ^ v[0];
    v[3] = rotate(v[3], 16) ^ v[2];
    v[0] = rotate(v[0], 32);
    v[2] += v[1], v[0] += v[3];
    v[1] = rotate(v[1], 17) ^ v[2];
    v[3] = rotate(v[3], 21) ^ v[0];
    v[2] = rotate(v[2], 32);
}

static void
absorb(uint64_t v[4], uint64_t word)
{
    v[3] ^= word;
    mix(v), mix(v);
    v[0] ^= word;
}

/* Up to eight octets, the first one lowest. */
static uint64_t
word_of(struct slice bytes)
{
    uint64_t word = 0;

    for (size_t i = 0; i < bytes.len && i < 8; i++)
        word |= (uint64_t)(unsigned char)bytes.p[i] << 8 * i;
    return word;
}

uint64_t
hash_keyed(const struct hash_key *key, struct slice bytes)
{
    uint64_t v[4] = {
        key->half[0] ^ 0x736f6d6570736575, key->half[1] ^ 0x646f72616e646f6d,
        key->half[0] ^ 0x6c7967656e657261, key->half[1] ^ 0x7465646279746573};
    uint64_t last = (uint64_t)(bytes.len & 0xFF) << 56;

    for (; bytes.len >= 8; bytes = slice_from(bytes, 8))
        absorb(v, word_of(bytes));
    absorb(v, last | word_of(bytes));
    v[2] ^= 0xFF;
    mix(v), mix(v), mix(v), mix(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}
