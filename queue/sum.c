#include "queue/sum.h"

/* Odd, with its bits evenly spread: 2^64 divided by the golden ratio. */
static const uint64_t spread = 0x9e3779b97f4a7c15;

static uint64_t
mix(uint64_t sum, uint64_t word)
{
    sum = (sum ^ word) * spread;
    return sum ^ sum >> 29;
}

uint64_t
queue_sum_number(uint64_t sum, uint64_t number)
{
    return mix(sum, number);
}

uint64_t
queue_sum_octets(uint64_t sum, struct slice octets)
{
    uint64_t word;

    /* The length in front keeps neighbours from trading octets. */
    sum = mix(sum, octets.len + 1);
    for (; octets.len >= sizeof(word); octets = slice_from(octets, 8)) {
        memcpy(&word, octets.p, sizeof(word));
        sum = mix(sum, word);
    }
    if (octets.len == 0)
        return sum;
    word = 0;
    memcpy(&word, octets.p, octets.len);
    return mix(sum, word);
}

uint64_t
queue_sum_text(uint64_t sum, const char *text)
{
    return text ? queue_sum_octets(sum, slice_of(text))
                : queue_sum_number(sum, 0);
}
