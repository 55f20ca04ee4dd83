/*
 * relay/base/span - lengths of time and of messages, and rates, as text.
 *
 * "90s", "5m", "4h", "5d", "250ms", or a sum such as "1h30m"; a bare number is
 * refused, so that nobody has to guess its unit.  "0" alone is zero.
 */
#ifndef RELAY_BASE_SPAN_H
#define RELAY_BASE_SPAN_H

#include "relay/base/err.h"
#include "relay/base/own.h"
#include "relay/base/slice.h"

#include <stdint.h>

enum { SPAN_TEXT_SIZE = 32 };

bool span_parse(struct slice text, int64_t *ms, struct err *err) must_use;
const char *span_text(int64_t ms, char out[SPAN_TEXT_SIZE]); /* "1h30m" */

/* "50M", "64K", "1G" (powers of 1024), or octets without a unit. */
bool span_parse_size(struct slice text, uint64_t *octets,
                     struct err *err) must_use;
const char *span_size_text(uint64_t octets, char out[SPAN_TEXT_SIZE]);

/* "100/1h": so many in each span; "0/1h" is no limit. */
struct span_rate {
    uint64_t count;
    int64_t per_ms;
};
bool span_parse_rate(struct slice text, struct span_rate *out,
                     struct err *err) must_use;

#endif
