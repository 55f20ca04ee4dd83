/*
 * relay/watch/pulse - do the threads still turn, and how late are they?
 *
 * A loop has a timer that comes once a second; how much later than that it
 * comes is the loop's lag.  A thread without a loop beats by itself.  Whoever
 * wants to know looks from any other thread.
 */
#ifndef RELAY_WATCH_PULSE_H
#define RELAY_WATCH_PULSE_H

#include <stdatomic.h>
#include <stdint.h>
#include <uv.h>

enum {
    PULSE_MS = 1000,
    PULSE_LAG_MS = 30 * 1000, /* the worst lag is kept so long, or twice that */
    PULSE_LOOP_LIMIT_MS = 10 * 1000,  /* a loop that turns not once in this
                                         time hangs, */
    PULSE_STORE_LIMIT_MS = 30 * 1000, /* and so does the store thread */
};

/* Zeroed: it has not begun, and nothing is wrong with it. */
struct pulse {
    _Atomic int64_t beat_ms;
    _Atomic int64_t worst_ms, worst_before_ms; /* lag: lately, and before */
    int64_t turned_ms;                         /* when the two were moved on */
    struct net_timer *timer;
};

/* The loop's thread, or before there is one. */
void pulse_start(struct pulse *p, uv_loop_t *loop);
void pulse_stop(struct pulse *p);

/* A thread without a loop: it is alive. */
void pulse_beat(struct pulse *p);

/* Any thread.  Since the last beat, and how late beats have been of late. */
int64_t pulse_age_ms(const struct pulse *p);
int64_t pulse_lag_ms(const struct pulse *p);

#endif
