/*
 * queue/sum - a check sum over the fields of a row.
 *
 * Finds bits that have rotted on the disk, so that nothing is sent to another
 * address than the one that was given.  It is no defence against anybody who
 * can write to the file.
 */
#ifndef QUEUE_SUM_H
#define QUEUE_SUM_H

#include "relay/base/slice.h"

#include <stdint.h>

/* A sum over all that was added, in order.  Zero to begin with. */
uint64_t queue_sum_octets(uint64_t sum, struct slice octets);
uint64_t queue_sum_number(uint64_t sum, uint64_t number);
/* NULL differs from "". */
uint64_t queue_sum_text(uint64_t sum, const char *text);

#endif
