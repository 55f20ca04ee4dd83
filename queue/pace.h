/*
 * queue/pace - so many in each span of time, and no more.
 *
 * A bucket that fills evenly and holds one span's worth.  Pure arithmetic;
 * zeroed storage sets no limit.
 */
#ifndef QUEUE_PACE_H
#define QUEUE_PACE_H

#include <stddef.h>
#include <stdint.h>

enum {
    QUEUE_PACE_COUNT_MAX = 1000000, /* more in a span is as good as no limit */
};

struct queue_pace {
    uint64_t count; /* in each span; 0: no limit */
    int64_t per_ms;
    /* private */
    uint64_t filled; /* in units of 1 / per_ms */
    int64_t at_ms;   /* when it was; 0: never, so it is full */
};

/* A limit, with a full bucket unless it is the one that holds already. */
void queue_pace_set(struct queue_pace *p, uint64_t count, int64_t per_ms);

/* How many of `want` may go now; they are taken. */
size_t queue_pace_take(struct queue_pace *p, size_t want, int64_t now_ms);

/* Milliseconds until one more may go; 0: now. */
int64_t queue_pace_wait_ms(const struct queue_pace *p, int64_t now_ms);

#endif
