#include "relay/watch/event_hub.h"

#include "relay/base/log_tap.h"
#include "relay/base/mem.h"
#include "relay/net/timer.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/queue.h>

enum { NAME_MAX_OCTETS = 64 };

struct entry {
    TAILQ_ENTRY(entry) link;
    uint64_t number;
    uint32_t wanted; /* by whom, a bit for each reader */
    size_t len;
    char name[NAME_MAX_OCTETS];
    char line[];
};

TAILQ_HEAD(entries, entry);

struct event_reader {
    struct event_hub *hub;
    size_t slot;
    struct event_filter filter;
    struct entry *next; /* to look at; NULL: all have been */
    uint64_t missed;
    bool has_gap; /* what happened meanwhile is not known */
    event_reader_fn *news;
    void *ctx;
};

struct event_hub {
    uv_async_t async;
    struct log_tap *tap;
    struct net_timer *linger;
    struct event_reader *readers[EVENT_HUB_READERS_MAX];
    size_t count;
    struct entries ring;
    size_t octets;
    int64_t epoch;   /* when the tap was opened: events of another are not
                        ours to count */
    uint64_t number; /* of the last event */
    struct buf taken;
    bool is_open, is_over;
};

/* --- the ring --- */

/* Whoever still wanted to read it has missed it. */
static void
drop_oldest(struct event_hub *h)
{
    struct entry *e = TAILQ_FIRST(&h->ring);

    for (size_t i = 0; i < EVENT_HUB_READERS_MAX; i++) {
        struct event_reader *r = h->readers[i];

        if (!r || r->next != e)
            continue;
        if (e->wanted & 1U << i)
            r->missed++;
        r->next = TAILQ_NEXT(e, link);
    }
    TAILQ_REMOVE(&h->ring, e, link);
    h->octets -= sizeof(*e) + e->len;
    free(e);
}

static void
mark_wanted(struct event_hub *h, struct entry *e, const json_t *event)
{
    for (size_t i = 0; i < EVENT_HUB_READERS_MAX; i++) {
        const struct event_reader *r = h->readers[i];

        if (r && event_filter_wants(&r->filter, event))
            e->wanted |= 1U << i;
    }
}

static void
add_entry(struct event_hub *h, struct slice line)
{
    json_t *event = event_filter_read(line);
    struct entry *e;

    if (!event)
        return;
    e = mem_zeroed(1, sizeof(*e) + line.len);
    e->number = ++h->number;
    e->len = line.len;
    memcpy(e->line, line.p, line.len);
    (void)snprintf(e->name, sizeof(e->name), "%s", event_filter_name(event));
    mark_wanted(h, e, event);
    json_decref(event);
    TAILQ_INSERT_TAIL(&h->ring, e, link);
    h->octets += sizeof(*e) + e->len;
    for (size_t i = 0; i < EVENT_HUB_READERS_MAX; i++)
        if (h->readers[i] && !h->readers[i]->next)
            h->readers[i]->next = e;
    while (h->octets > EVENT_HUB_OCTETS_MAX)
        drop_oldest(h);
}

static void
clear_ring(struct event_hub *h)
{
    while (!TAILQ_EMPTY(&h->ring))
        drop_oldest(h);
}

/* --- the tap --- */

static void
tell_readers(struct event_hub *h)
{
    for (size_t i = 0; i < EVENT_HUB_READERS_MAX; i++)
        if (h->readers[i]) /* which may free itself */
            h->readers[i]->news(h->readers[i]->ctx);
}

static void
take_lines(struct event_hub *h)
{
    uint64_t lost = log_tap_take(h->tap, &h->taken);
    struct slice rest = buf_slice(&h->taken);

    while (rest.len > 0)
        add_entry(h, slice_cut(&rest, '\n'));
    h->number += lost;
    for (size_t i = 0; i < EVENT_HUB_READERS_MAX; i++)
        if (h->readers[i])
            h->readers[i]->missed += lost;
}

static void
woken(uv_async_t *async)
{
    struct event_hub *h = own_container(async, struct event_hub, async);

    if (!h->is_open)
        return;
    take_lines(h);
    tell_readers(h);
}

/* On the thread that logs. */
static void
wake(void *ctx)
{
    struct event_hub *h = ctx;

    (void)uv_async_send(&h->async);
}

static void
open_tap(struct event_hub *h)
{
    net_timer_stop(h->linger);
    if (h->is_open)
        return;
    h->is_open = true;
    h->number = 0;
    h->epoch = net_clock_wall();
    log_tap_open(h->tap, wake, h);
}

static void
close_tap(void *ctx)
{
    struct event_hub *h = ctx;

    if (!h->is_open)
        return;
    h->is_open = false;
    log_tap_close(h->tap);
    clear_ring(h);
    buf_free(&h->taken);
}

/* --- the hub --- */

struct event_hub *
event_hub_new(uv_loop_t *loop, struct log *log)
{
    struct event_hub *h = mem_new(struct event_hub);

    TAILQ_INIT(&h->ring);
    h->tap = log_tap(log);
    h->linger = net_timer_new(loop, close_tap, h);
    if (uv_async_init(loop, &h->async, woken) != 0)
        abort();
    return h;
}

void
event_hub_close(struct event_hub *h)
{
    if (h->is_open)
        take_lines(h);
    h->is_over = true;
    tell_readers(h);
}

static void
closed(uv_handle_t *handle)
{
    free(own_container((uv_async_t *)handle, struct event_hub, async));
}

void
event_hub_free(struct event_hub **place)
{
    struct event_hub *h = take(place);

    if (!h)
        return;
    close_tap(h);
    net_timer_free(&h->linger);
    uv_close((uv_handle_t *)&h->async, closed);
}

size_t
event_hub_count(const struct event_hub *h)
{
    return h->count;
}

/* --- readers --- */

/* "18f3a2b4c5d-17": which opening of the tap, and which event. */
static bool
parse_id(const char *text, int64_t *epoch, uint64_t *number)
{
    char *end;

    *epoch = (int64_t)strtoull(text, &end, 16);
    if (end == text || *end != '-')
        return false;
    text = end + 1;
    *number = strtoull(text, &end, 10);
    return end != text && *end == '\0';
}

/* Puts the reader behind the event that it has read last. */
static void
go_behind(struct event_reader *r, const char *last)
{
    struct event_hub *h = r->hub;
    struct entry *e = TAILQ_FIRST(&h->ring);
    uint64_t number, first = e ? e->number : h->number + 1;
    int64_t epoch;

    if (!parse_id(last, &epoch, &number))
        return;
    if (epoch != h->epoch || number > h->number) {
        r->has_gap = true;
        number = 0;
    } else if (number + 1 < first) {
        r->missed = first - number - 1;
    }
    while (e && e->number <= number)
        e = TAILQ_NEXT(e, link);
    for (r->next = e; e; e = TAILQ_NEXT(e, link)) {
        json_t *event = event_filter_read((struct slice){e->line, e->len});

        if (event_filter_wants(&r->filter, event))
            e->wanted |= 1U << r->slot;
        json_decref(event);
    }
}

struct event_reader *
event_reader_new(struct event_hub *h, struct event_filter *filter,
                 const char *last, event_reader_fn *news, void *ctx,
                 struct err *err)
{
    struct event_reader *r;
    size_t slot = 0;

    if (h->is_over || h->count == EVENT_HUB_READERS_MAX) {
        (void)err_set(err, ERR_LIMIT, "%s",
                      h->is_over ? "the relay is at its end"
                                 : "too many follow the events already");
        return NULL;
    }
    while (h->readers[slot])
        slot++;
    open_tap(h);
    take_lines(h);
    r = mem_new(struct event_reader);
    r->hub = h;
    r->slot = slot;
    r->filter = *filter;
    *filter = (struct event_filter){0};
    r->news = news;
    r->ctx = ctx;
    if (last)
        go_behind(r, last);
    h->readers[slot] = r;
    h->count++;
    return r;
}

void
event_reader_free(struct event_reader **place)
{
    struct event_reader *r = take(place);
    struct event_hub *h = r ? r->hub : NULL;
    struct entry *e;

    if (!r)
        return;
    TAILQ_FOREACH(e, &h->ring, link)
    e->wanted &= ~(1U << r->slot);
    h->readers[r->slot] = NULL;
    if (--h->count == 0)
        net_timer_set(h->linger, EVENT_HUB_LINGER_MS);
    event_filter_done(&r->filter);
    free(r);
}

bool
event_reader_next(struct event_reader *r, struct event *out)
{
    uint32_t bit = 1U << r->slot;

    *out = (struct event){.missed = r->missed};
    if (r->missed > 0 || r->has_gap) {
        if (r->has_gap)
            out->missed = 0;
        r->missed = 0;
        r->has_gap = false;
        return true;
    }
    while (r->next && !(r->next->wanted & bit))
        r->next = TAILQ_NEXT(r->next, link);
    if (!r->next)
        return false;
    (void)snprintf(out->id, sizeof(out->id), "%" PRIx64 "-%" PRIu64,
                   (uint64_t)r->hub->epoch, r->next->number);
    out->name = r->next->name;
    out->line = (struct slice){r->next->line, r->next->len};
    r->next = TAILQ_NEXT(r->next, link);
    return true;
}

bool
event_reader_is_over(const struct event_reader *r)
{
    return r->hub->is_over;
}
