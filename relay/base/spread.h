/*
 * relay/base/spread - how durations are spread, in a few hundred octets.
 *
 * Counts by magnitude, four steps to each doubling, so that a quantile is
 * within an eighth of the true one, from a millisecond to days.  Spreads of
 * parts of a time add up to that of the whole.
 */
#ifndef RELAY_BASE_SPREAD_H
#define RELAY_BASE_SPREAD_H

#include <stdint.h>

enum { SPREAD_STEPS = 116 }; /* the last one is for six days and more */

struct spread {
    uint32_t count[SPREAD_STEPS];
};

void spread_add(struct spread *s, int64_t ms); /* less than 0 counts as 0 */
void spread_merge(struct spread *into, const struct spread *from);
uint64_t spread_total(const struct spread *s);
/* What so many of a thousand do not exceed; -1 when nothing was added. */
int64_t spread_quantile(const struct spread *s, unsigned permille);

#endif
