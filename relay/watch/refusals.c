#include "relay/watch/refusals.h"

#include "relay/base/map.h"
#include "relay/base/mem.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/queue.h>

struct kept {
    UT_hash_handle hh;
    TAILQ_ENTRY(kept) link;
    char *key;
    struct refusals_row row; /* its texts are ours */
    char *destination, *text;
};

TAILQ_HEAD(kepts, kept);

struct refusals {
    pthread_mutex_t mutex;
    struct kept *by_key; /* uthash */
    struct kepts list;   /* the last one first */
};

struct refusals *
refusals_new(void)
{
    struct refusals *r = mem_new(struct refusals);

    (void)pthread_mutex_init(&r->mutex, NULL);
    TAILQ_INIT(&r->list);
    return r;
}

static struct kept *
find(struct refusals *r, const struct refusals_row *row, const char *where,
     char **key)
{
    struct kept *k;

    free(*key);
    *key = mem_printf("%d %d %d %s", row->is_shadow, (int)row->policy,
                      (int)row->cause, where);
    HASH_FIND_STR(r->by_key, *key, k);
    return k;
}

static struct kept *
get(struct refusals *r, const struct refusals_row *row)
{
    char *key scoped(own_free) = NULL;
    const char *where = row->destination;
    struct kept *k = find(r, row, where, &key);

    if (!k && HASH_COUNT(r->by_key) >= REFUSALS_MAX) {
        where = "other";
        k = find(r, row, where, &key);
    }
    if (k)
        return k;
    k = mem_new(struct kept);
    k->key = take(&key);
    k->row = *row;
    k->row.count = 0;
    k->row.destination = k->destination = mem_text(where);
    HASH_ADD_KEYPTR(hh, r->by_key, k->key, strlen(k->key), k);
    TAILQ_INSERT_HEAD(&r->list, k, link);
    return k;
}

void
refusals_add(struct refusals *r, const struct refusals_row *row)
{
    struct kept *k;

    (void)pthread_mutex_lock(&r->mutex);
    k = get(r, row);
    TAILQ_REMOVE(&r->list, k, link);
    TAILQ_INSERT_HEAD(&r->list, k, link);
    k->row.count++;
    k->row.last_ms = row->last_ms;
    free(k->text);
    k->row.text = k->text =
        mem_copy(slice_first(slice_of(row->text), REFUSALS_TEXT_MAX));
    (void)pthread_mutex_unlock(&r->mutex);
}

void
refusals_each(struct refusals *r, refusals_fn *fn, void *ctx)
{
    const struct kept *k;

    (void)pthread_mutex_lock(&r->mutex);
    TAILQ_FOREACH(k, &r->list, link)
    fn(ctx, &k->row);
    (void)pthread_mutex_unlock(&r->mutex);
}

void
refusals_free(struct refusals **place)
{
    struct refusals *r = take(place);
    struct kept *k;

    if (!r)
        return;
    while ((k = TAILQ_FIRST(&r->list)) != NULL) {
        HASH_DEL(r->by_key, k);
        TAILQ_REMOVE(&r->list, k, link);
        free(k->key);
        free(k->destination);
        free(k->text);
        free(k);
    }
    (void)pthread_mutex_destroy(&r->mutex);
    free(r);
}
