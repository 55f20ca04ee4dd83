/*
 * queue/schedule - when a deferred recipient is tried again, and when not.
 *
 * Pure arithmetic on times of the steady clock; randomness is given.
 */
#ifndef QUEUE_SCHEDULE_H
#define QUEUE_SCHEDULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    QUEUE_SCHEDULE_STEPS_MAX = 32,
    /* Nothing expires before so many attempts, so that a clock that jumped
     * while we were down expires nothing. */
    QUEUE_SCHEDULE_ATTEMPTS_MIN = 5,
};

struct queue_schedule {
    int64_t step_ms[QUEUE_SCHEDULE_STEPS_MAX]; /* the last one repeats */
    size_t steps;                              /* at least 1 */
    int64_t expire_ms;
    int64_t warn_ms; /* 0: no delay warnings */
};

/* The time of the attempt behind attempt number `attempts` (from 1), that
 * ended at `now_ms`: the step, longer or shorter by up to a tenth by `random`.
 * Later attempts never come sooner than the first step. */
int64_t queue_schedule_next(const struct queue_schedule *s, uint32_t attempts,
                            int64_t now_ms, uint64_t random);

/* The latest that queue_schedule_next can answer. */
int64_t queue_schedule_latest(const struct queue_schedule *s, int64_t now_ms);

bool queue_schedule_is_expired(const struct queue_schedule *s,
                               uint32_t attempts, int64_t arrived_ms,
                               int64_t now_ms);
bool queue_schedule_is_late(const struct queue_schedule *s, int64_t arrived_ms,
                            int64_t now_ms); /* time for the delay warning */

#endif
