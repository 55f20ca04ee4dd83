#include "relay/watch/recent.h"

#include "relay/base/map.h"
#include "relay/base/mem.h"

#include <sys/queue.h>

struct place {
    UT_hash_handle hh;
    TAILQ_ENTRY(place) link;
    char *name, *trouble, *policy, *proof, *tls, *verdict; /* the row's texts */
    struct recent_row row;
};

TAILQ_HEAD(places, place);

struct recent {
    struct place *by_name; /* uthash */
    struct places list;    /* the last one first */
};

struct recent *
recent_new(void)
{
    struct recent *r = mem_new(struct recent);

    TAILQ_INIT(&r->list);
    return r;
}

static void
drop(struct recent *r, struct place *p)
{
    HASH_DEL(r->by_name, p);
    TAILQ_REMOVE(&r->list, p, link);
    free(p->name);
    free(p->trouble);
    free(p->policy);
    free(p->proof);
    free(p->tls);
    free(p->verdict);
    free(p);
}

static struct place *
get(struct recent *r, const char *name)
{
    struct place *p;

    HASH_FIND_STR(r->by_name, name, p);
    if (p) {
        TAILQ_REMOVE(&r->list, p, link);
        TAILQ_INSERT_HEAD(&r->list, p, link);
        return p;
    }
    if (HASH_COUNT(r->by_name) >= RECENT_MAX)
        drop(r, TAILQ_LAST(&r->list, places));
    p = mem_new(struct place);
    p->row.destination = p->name = mem_text(name);
    HASH_ADD_KEYPTR(hh, r->by_name, p->name, strlen(p->name), p);
    TAILQ_INSERT_HEAD(&r->list, p, link);
    return p;
}

static const char *
keep(char **text, const char *value)
{
    free(*text);
    *text =
        value ? mem_copy(slice_first(slice_of(value), RECENT_TEXT_MAX)) : NULL;
    return *text;
}

static void
count(struct recent_row *row, enum queue_outcome outcome)
{
    switch (outcome) {
    case QUEUE_DELIVERED:
        row->sent++;
        break;
    case QUEUE_DEFERRED:
        row->deferred++;
        break;
    case QUEUE_FAILED:
    case QUEUE_EXPIRED:
        row->bounced++;
        break;
    }
}

void
recent_add(struct recent *r, const char *destination,
           const struct queue_result *result, const struct queue_attempt *a,
           int64_t now_ms)
{
    struct place *p = get(r, destination);

    count(&p->row, result->outcome);
    p->row.last_ms = now_ms;
    if (result->outcome == QUEUE_DELIVERED) {
        p->row.sent_ms = now_ms;
    } else {
        p->row.trouble_ms = now_ms;
        p->row.trouble = keep(&p->trouble, result->reason);
    }
    if (!a || !a->policy)
        return;
    p->row.policy = keep(&p->policy, a->policy);
    p->row.proof = keep(&p->proof, a->proof);
    p->row.tls = keep(&p->tls, a->tls_version);
    p->row.verdict = keep(&p->verdict, a->verdict);
}

void
recent_each(const struct recent *r, recent_fn *fn, void *ctx)
{
    const struct place *p;

    TAILQ_FOREACH(p, &r->list, link)
    fn(ctx, &p->row);
}

void
recent_free(struct recent **place)
{
    struct recent *r = take(place);

    if (!r)
        return;
    while (!TAILQ_EMPTY(&r->list))
        drop(r, TAILQ_FIRST(&r->list));
    free(r);
}
