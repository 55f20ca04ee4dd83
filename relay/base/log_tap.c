#include "relay/base/log_tap.h"

void
log_tap_init(struct log_tap *t)
{
    *t = (struct log_tap){0};
    pthread_mutex_init(&t->lock, NULL);
}

void
log_tap_done(struct log_tap *t)
{
    buf_free(&t->lines);
    pthread_mutex_destroy(&t->lock);
}

void
log_tap_open(struct log_tap *t, log_tap_wake_fn *wake, void *ctx)
{
    pthread_mutex_lock(&t->lock);
    t->wake = wake;
    t->ctx = ctx;
    atomic_store(&t->is_open, true);
    pthread_mutex_unlock(&t->lock);
}

void
log_tap_close(struct log_tap *t)
{
    pthread_mutex_lock(&t->lock);
    atomic_store(&t->is_open, false);
    buf_free(&t->lines);
    t->lost = 0;
    pthread_mutex_unlock(&t->lock);
}

void
log_tap_put(struct log_tap *t, struct slice line)
{
    bool was_empty;

    pthread_mutex_lock(&t->lock);
    was_empty = t->lines.len == 0 && t->lost == 0;
    if (atomic_load(&t->is_open)) {
        /* Behind a lost one the next are lost as well, so that what is missing
         * lies in one place. */
        if (t->lost > 0 || line.len > LOG_TAP_MAX - t->lines.len)
            t->lost++;
        else
            buf_add(&t->lines, line);
        if (was_empty)
            t->wake(t->ctx);
    }
    pthread_mutex_unlock(&t->lock);
}

uint64_t
log_tap_take(struct log_tap *t, struct buf *out)
{
    struct buf taken;
    uint64_t lost;

    buf_clear(out);
    pthread_mutex_lock(&t->lock);
    taken = t->lines;
    lost = t->lost;
    t->lines = *out;
    t->lost = 0;
    pthread_mutex_unlock(&t->lock);
    *out = taken;
    return lost;
}
