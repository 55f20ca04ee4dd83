#include "relay/guard/quota.h"

#include "relay/base/map.h"
#include "relay/base/mem.h"
#include "relay/base/own.h"

#include <pthread.h>
#include <stdlib.h>

struct window {
    uint64_t count;
    int64_t began_ms;
};

struct row {
    char *name;
    struct window messages, recipients;
    UT_hash_handle hh; /* the table is in the order of beginnings */
};

struct quota {
    pthread_mutex_t lock;
    struct row *rows; /* uthash */
};

struct quota *
quota_new(void)
{
    struct quota *q = mem_new(struct quota);

    pthread_mutex_init(&q->lock, NULL);
    return q;
}

static void
forget(struct quota *q, struct row *row)
{
    HASH_DEL(q->rows, row);
    free(row->name);
    free(row);
}

void
quota_free(struct quota **place)
{
    struct quota *q = take(place);
    struct row *row, *next;

    if (!q)
        return;
    HASH_ITER(hh, q->rows, row, next)
    forget(q, row);
    pthread_mutex_destroy(&q->lock);
    free(q);
}

/* Who has one IPv6 address has a /64 of them.  A user can't be named like an
 * address, as the names differ in their first letter. */
static char *
name_of(const struct quota_sender *s)
{
    struct addr a = *s->peer;
    char text[ADDR_TEXT_SIZE];

    if (s->user)
        return mem_printf("u%s", s->user);
    if (a.any.sa_family == AF_UNSPEC)
        return mem_text("l");
    if (a.any.sa_family == AF_INET6)
        memset(a.v6.sin6_addr.s6_addr + 8, 0, 8);
    return mem_printf("a%s", addr_text(&a, text));
}

static struct row *
find(const struct quota *q, const struct quota_sender *s)
{
    scoped(own_free) char *name = name_of(s);
    struct row *row;

    HASH_FIND_STR(q->rows, name, row);
    return row;
}

static bool
is_over(const struct window *w, const struct span_rate *rate, int64_t now_ms)
{
    return w->count == 0 || now_ms - w->began_ms >= rate->per_ms;
}

/* Behind all others when a span of it begins. */
static struct row *
make(struct quota *q, const struct quota_sender *s, bool is_new_span)
{
    struct row *row = find(q, s);

    if (row && is_new_span) {
        HASH_DEL(q->rows, row);
        HASH_ADD_KEYPTR(hh, q->rows, row->name, strlen(row->name), row);
    }
    if (row)
        return row;
    if (HASH_COUNT(q->rows) >= QUOTA_SENDERS_MAX)
        forget(q, q->rows);
    row = mem_new(struct row);
    row->name = name_of(s);
    HASH_ADD_KEYPTR(hh, q->rows, row->name, strlen(row->name), row);
    return row;
}

/* 0, or how long `more` have to wait. */
static unsigned
wait_of(const struct window *w, const struct span_rate *rate, uint64_t more,
        int64_t now_ms)
{
    uint64_t count = is_over(w, rate, now_ms) ? 0 : w->count;
    int64_t left_ms = rate->per_ms;

    if (rate->count == 0 ||
        (more <= rate->count && count <= rate->count - more))
        return 0;
    if (count > 0 && more <= rate->count)
        left_ms -= now_ms - w->began_ms;
    return left_ms > 1000 ? (unsigned)((left_ms + 999) / 1000) : 1;
}

static unsigned
wait_for(const struct row *row, const struct quota_limits *l,
         uint64_t recipients, int64_t now_ms, bool *is_of_recipients)
{
    static const struct window nothing;
    unsigned first, second;

    first = wait_of(row ? &row->messages : &nothing, &l->messages, 1, now_ms);
    second = wait_of(row ? &row->recipients : &nothing, &l->recipients,
                     recipients, now_ms);
    *is_of_recipients = second > first;
    return first > second ? first : second;
}

unsigned
quota_wait(struct quota *q, const struct quota_limits *limits,
           const struct quota_sender *sender, uint64_t recipients,
           int64_t now_ms, bool *is_of_recipients)
{
    unsigned wait;

    pthread_mutex_lock(&q->lock);
    wait =
        wait_for(find(q, sender), limits, recipients, now_ms, is_of_recipients);
    pthread_mutex_unlock(&q->lock);
    return wait;
}

static void
add(struct window *w, const struct span_rate *rate, uint64_t more,
    int64_t now_ms)
{
    if (is_over(w, rate, now_ms))
        *w = (struct window){.began_ms = now_ms};
    w->count += more;
}

unsigned
quota_take(struct quota *q, const struct quota_limits *limits,
           const struct quota_sender *sender, uint64_t recipients,
           int64_t now_ms, bool *is_of_recipients)
{
    unsigned wait;

    *is_of_recipients = false;
    if (limits->messages.count == 0 && limits->recipients.count == 0)
        return 0;
    pthread_mutex_lock(&q->lock);
    wait =
        wait_for(find(q, sender), limits, recipients, now_ms, is_of_recipients);
    if (wait == 0) {
        struct row *row = find(q, sender);

        row = make(q, sender,
                   !row || is_over(&row->messages, &limits->messages, now_ms));
        add(&row->messages, &limits->messages, 1, now_ms);
        add(&row->recipients, &limits->recipients, recipients, now_ms);
    }
    pthread_mutex_unlock(&q->lock);
    return wait;
}

static void
subtract(struct window *w, uint64_t less)
{
    w->count -= less < w->count ? less : w->count;
}

void
quota_give_back(struct quota *q, const struct quota_sender *sender,
                uint64_t recipients)
{
    struct row *row;

    pthread_mutex_lock(&q->lock);
    row = find(q, sender);
    if (row) {
        subtract(&row->messages, 1);
        subtract(&row->recipients, recipients);
    }
    pthread_mutex_unlock(&q->lock);
}
