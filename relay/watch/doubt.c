#include "relay/watch/doubt.h"

#include "relay/base/mem.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

struct doubt_entry {
    LIST_ENTRY(doubt_entry) link;
    uint64_t message;
    uint32_t *numbers;
    size_t count;
};

LIST_HEAD(entries, doubt_entry);

struct doubt {
    pthread_mutex_t mutex;
    struct entries list;
};

struct doubt *
doubt_new(void)
{
    struct doubt *d = mem_new(struct doubt);

    (void)pthread_mutex_init(&d->mutex, NULL);
    LIST_INIT(&d->list);
    return d;
}

void
doubt_free(struct doubt **place)
{
    struct doubt *d = *place;

    *place = NULL;
    if (!d)
        return;
    assert(LIST_EMPTY(&d->list));
    (void)pthread_mutex_destroy(&d->mutex);
    free(d);
}

struct doubt_entry *
doubt_add(struct doubt *d, uint64_t message, const uint32_t *numbers,
          size_t count)
{
    struct doubt_entry *e = mem_new(struct doubt_entry);

    e->message = message;
    e->count = count;
    e->numbers = mem_array(uint32_t, count);
    memcpy(e->numbers, numbers, count * sizeof(*numbers));
    (void)pthread_mutex_lock(&d->mutex);
    LIST_INSERT_HEAD(&d->list, e, link);
    (void)pthread_mutex_unlock(&d->mutex);
    return e;
}

void
doubt_drop(struct doubt *d, struct doubt_entry **place)
{
    struct doubt_entry *e = *place;

    *place = NULL;
    if (!e)
        return;
    (void)pthread_mutex_lock(&d->mutex);
    LIST_REMOVE(e, link);
    (void)pthread_mutex_unlock(&d->mutex);
    free(e->numbers);
    free(e);
}

void
doubt_each(struct doubt *d, doubt_fn *fn, void *ctx)
{
    const struct doubt_entry *e;

    (void)pthread_mutex_lock(&d->mutex);
    LIST_FOREACH(e, &d->list, link)
    fn(ctx, e->message, e->numbers, e->count);
    (void)pthread_mutex_unlock(&d->mutex);
}
