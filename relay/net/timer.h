/* relay/net/timer - one-shot timers and the clocks; only relay/net reads them.
 */
#ifndef RELAY_NET_TIMER_H
#define RELAY_NET_TIMER_H

#include <stdint.h>
#include <uv.h>

typedef void net_timer_fn(void *ctx);
struct net_timer; /* from the heap, because libuv closes late */

struct net_timer *net_timer_new(uv_loop_t *loop, net_timer_fn *fired,
                                void *ctx);
void net_timer_set(struct net_timer *t, uint64_t ms); /* anew */
void net_timer_stop(struct net_timer *t);
void net_timer_free(struct net_timer **t);

/* Milliseconds since 1970 as the wall clock has it now: for headers, logs and
 * certificates. */
int64_t net_clock_wall(void);

/* Milliseconds since 1970 by a clock that never jumps while the process runs:
 * the wall clock at the first call, plus the time passed since (suspend
 * included).  All schedules use it, so a jump of the wall clock expires
 * nothing. */
int64_t net_clock_steady(void);

/* Microseconds of nothing in particular: how long something took. */
int64_t net_clock_us(void);

#endif
