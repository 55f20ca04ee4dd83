/*
 * relay/base/id - queue identifiers.
 *
 * A 49-bit number that only grows: milliseconds since 2020 (41 bits) and a
 * count within the millisecond (8 bits).  As text ten characters of base 32
 * (0-9 a-z without i l o u), so that text sorts like time.
 */
#ifndef RELAY_BASE_ID_H
#define RELAY_BASE_ID_H

#include "relay/base/slice.h"

#include <stdint.h>

enum { ID_TEXT_SIZE = 11 };

const char *id_text(uint64_t id, char out[ID_TEXT_SIZE]);
bool id_parse(struct slice text, uint64_t *id); /* false: no such text */

/* Hands out numbers, each larger than all before; any thread. */
struct id_source {
    uint64_t last; /* atomic; start it at the largest number in use */
};
uint64_t id_next(struct id_source *s, int64_t unix_ms);

/* The least identifier made at that time or later. */
uint64_t id_at(int64_t unix_ms);

#endif
