#include "relay/watch/pulse.h"

#include "relay/net/timer.h"

void
pulse_beat(struct pulse *p)
{
    atomic_store_explicit(&p->beat_ms, net_clock_steady(),
                          memory_order_relaxed);
}

static void
note_lag(struct pulse *p, int64_t now_ms)
{
    int64_t lag_ms = now_ms - p->beat_ms - PULSE_MS;

    if (now_ms - p->turned_ms > PULSE_LAG_MS) {
        p->turned_ms = now_ms;
        p->worst_before_ms = p->worst_ms;
        p->worst_ms = 0;
    }
    if (lag_ms > p->worst_ms)
        p->worst_ms = lag_ms;
}

static void
tick(void *ctx)
{
    struct pulse *p = ctx;

    note_lag(p, net_clock_steady());
    pulse_beat(p);
    net_timer_set(p->timer, PULSE_MS);
}

void
pulse_start(struct pulse *p, uv_loop_t *loop)
{
    pulse_beat(p);
    p->turned_ms = p->beat_ms;
    p->timer = net_timer_new(loop, tick, p);
    net_timer_set(p->timer, PULSE_MS);
}

void
pulse_stop(struct pulse *p)
{
    net_timer_free(&p->timer);
}

int64_t
pulse_age_ms(const struct pulse *p)
{
    int64_t beat_ms = atomic_load_explicit(&p->beat_ms, memory_order_relaxed);

    return beat_ms ? net_clock_steady() - beat_ms : 0;
}

int64_t
pulse_lag_ms(const struct pulse *p)
{
    int64_t now_ms = atomic_load(&p->worst_ms);
    int64_t before_ms = atomic_load(&p->worst_before_ms);

    return now_ms > before_ms ? now_ms : before_ms;
}
