#include "relay/base/mailbox.h"

#include <assert.h>
#include <stddef.h>
#include <time.h>

void
mailbox_init(struct mailbox *box, mailbox_wake_fn *wake, void *ctx)
{
    pthread_condattr_t attr;

    *box = (struct mailbox){.wake = wake, .ctx = ctx};
    box->end = &box->first;
    pthread_mutex_init(&box->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&box->filled, &attr);
    pthread_condattr_destroy(&attr);
}

void
mailbox_done(struct mailbox *box)
{
    assert(!box->first);
    pthread_cond_destroy(&box->filled);
    pthread_mutex_destroy(&box->lock);
}

/* Whoever waits needs to know of the first letter, and of the first that is
 * not patient. */
static void
put(struct mailbox *box, struct mailbox_letter *letter, bool is_pressing)
{
    bool was_empty, is_news;

    letter->next = NULL;
    pthread_mutex_lock(&box->lock);
    was_empty = !box->first;
    is_news = was_empty || (is_pressing && !box->is_pressing);
    *box->end = letter;
    box->end = &letter->next;
    box->is_pressing |= is_pressing;
    if (is_news)
        pthread_cond_signal(&box->filled);
    pthread_mutex_unlock(&box->lock);
    if (was_empty && box->wake)
        box->wake(box->ctx);
}

void
mailbox_put(struct mailbox *box, struct mailbox_letter *letter)
{
    put(box, letter, true);
}

void
mailbox_put_patient(struct mailbox *box, struct mailbox_letter *letter)
{
    put(box, letter, false);
}

static struct mailbox_letter *
take_all(struct mailbox *box)
{
    struct mailbox_letter *first = box->first;

    box->first = NULL;
    box->end = &box->first;
    box->is_pressing = false;
    return first;
}

struct mailbox_letter *
mailbox_take(struct mailbox *box)
{
    struct mailbox_letter *first;

    pthread_mutex_lock(&box->lock);
    first = take_all(box);
    pthread_mutex_unlock(&box->lock);
    return first;
}

static struct timespec
from_now(int64_t ms)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_sec += ms / 1000;
    t.tv_nsec += ms % 1000 * 1000000;
    if (t.tv_nsec >= 1000000000) {
        t.tv_sec++;
        t.tv_nsec -= 1000000000;
    }
    return t;
}

struct mailbox_letter *
mailbox_wait(struct mailbox *box, int64_t limit_ms)
{
    struct mailbox_letter *first;
    struct timespec until = from_now(limit_ms);
    int late = 0;

    pthread_mutex_lock(&box->lock);
    while (!box->first && !late)
        late = pthread_cond_timedwait(&box->filled, &box->lock, &until);
    if (box->first && !box->is_pressing) {
        until = from_now(MAILBOX_PATIENCE_MS);
        late = 0;
        while (!box->is_pressing && !late)
            late = pthread_cond_timedwait(&box->filled, &box->lock, &until);
    }
    first = take_all(box);
    pthread_mutex_unlock(&box->lock);
    return first;
}
