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

void
mailbox_put(struct mailbox *box, struct mailbox_letter *letter)
{
    bool was_empty;

    letter->next = NULL;
    pthread_mutex_lock(&box->lock);
    was_empty = !box->first;
    *box->end = letter;
    box->end = &letter->next;
    if (was_empty)
        pthread_cond_signal(&box->filled);
    pthread_mutex_unlock(&box->lock);
    if (was_empty && box->wake)
        box->wake(box->ctx);
}

static struct mailbox_letter *
take_all(struct mailbox *box)
{
    struct mailbox_letter *first = box->first;

    box->first = NULL;
    box->end = &box->first;
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

struct mailbox_letter *
mailbox_wait(struct mailbox *box, int64_t limit_ms)
{
    struct mailbox_letter *first;
    struct timespec until;
    int late = 0;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += limit_ms / 1000;
    until.tv_nsec += limit_ms % 1000 * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&box->lock);
    while (!box->first && !late)
        late = pthread_cond_timedwait(&box->filled, &box->lock, &until);
    first = take_all(box);
    pthread_mutex_unlock(&box->lock);
    return first;
}
