#include "relay/guard/gate.h"

#include "relay/base/map.h"
#include "relay/base/mem.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { SAY_EVERY_MS = 1000 };

/* A listener, or a client. */
struct count {
    char text[GATE_NAME_SIZE];
    unsigned count;
    int64_t due_us; /* of a client: the next one would be in time from here on
                       if they came evenly */
    UT_hash_handle hh;
};

static_assert((int)GATE_NAME_SIZE >= (int)ADDR_TEXT_SIZE, "an address fits");

struct gate {
    pthread_mutex_t lock;
    struct count *listeners; /* uthash; those with connections */
    struct count *clients;   /* likewise */
    struct count *idle;      /* clients without any, the oldest first */
    unsigned count, max;
    unsigned refused;   /* and not told yet */
    int64_t refused_ms; /* when it was told; 0: never */
};

static bool
is_near(const struct addr *peer)
{
    return peer->any.sa_family == AF_UNSPEC || addr_is_loopback(peer);
}

/* Who has one IPv6 address has a /64 of them. */
static void
name(const struct addr *peer, char text[ADDR_TEXT_SIZE])
{
    struct addr a = *peer;

    if (a.any.sa_family == AF_INET6)
        memset(a.v6.sin6_addr.s6_addr + 8, 0, 8);
    (void)addr_text(&a, text);
}

static struct count *
find(struct count *table, const char *text)
{
    struct count *c;

    HASH_FIND_STR(table, text, c);
    return c;
}

static struct count *
add(struct count **table, const char *text)
{
    struct count *c = mem_new(struct count);

    (void)snprintf(c->text, sizeof(c->text), "%s", text);
    HASH_ADD_STR(*table, text, c);
    return c;
}

static void
drop(struct count **table, struct count *c)
{
    HASH_DEL(*table, c);
    free(c);
}

/* --- listeners --- */

static const char *
enter(struct gate *g, const char *listener, const struct gate_limits *limits,
      struct gate_pass *pass)
{
    struct count *c = find(g->listeners, listener);

    if (g->count >= g->max)
        return "too many connections";
    if (c && limits->connections > 0 && c->count >= limits->connections)
        return "too many connections at this listener";
    if (!c)
        c = add(&g->listeners, listener);
    c->count++;
    g->count++;
    (void)snprintf(pass->listener, sizeof(pass->listener), "%s", listener);
    return NULL;
}

/* --- clients --- */

static int64_t
share_us(const struct span_rate *rate)
{
    return rate->per_ms * 1000 / (int64_t)rate->count;
}

static bool
is_too_often(const struct count *c, const struct span_rate *rate,
             int64_t now_us)
{
    return rate->count > 0 &&
           c->due_us + share_us(rate) - now_us > rate->per_ms * 1000;
}

static void
take_share(struct count *c, const struct span_rate *rate, int64_t now_us)
{
    if (rate->count == 0)
        return;
    if (c->due_us < now_us)
        c->due_us = now_us;
    c->due_us += share_us(rate);
}

/* The client among those with connections, whether or not it has any. */
static struct count *
call_up(struct gate *g, const char *text)
{
    struct count *c = find(g->clients, text);

    if (c)
        return c;
    c = find(g->idle, text);
    if (!c)
        return add(&g->clients, text);
    HASH_DEL(g->idle, c);
    HASH_ADD_STR(g->clients, text, c);
    return c;
}

/* The last of its connections is gone; its rate is remembered. */
static void
retire(struct gate *g, struct count *c)
{
    HASH_DEL(g->clients, c);
    if (c->due_us == 0) {
        free(c);
        return;
    }
    HASH_ADD_STR(g->idle, text, c);
    if (HASH_COUNT(g->idle) > GATE_IDLE_MAX)
        drop(&g->idle, g->idle);
}

static unsigned
limit_now(const struct gate *g, const struct gate_limits *limits)
{
    unsigned limit = limits->connections_per_client;

    if (limit == 0)
        limit = UINT32_MAX;
    if (g->count > g->max - g->max / 4 && limit > GATE_SCARCE_PER_CLIENT)
        limit = GATE_SCARCE_PER_CLIENT;
    return limit;
}

static const char *
admit(struct gate *g, const char *text, const struct gate_limits *limits,
      int64_t now_us, struct gate_pass *pass)
{
    struct count *c = call_up(g, text);
    const char *why = NULL;

    if (c->count >= limit_now(g, limits))
        why = "too many connections of this client";
    else if (is_too_often(c, &limits->rate, now_us))
        why = "this client connects too often";
    if (why) {
        if (c->count == 0)
            retire(g, c);
        return why;
    }
    take_share(c, &limits->rate, now_us);
    c->count++;
    (void)snprintf(pass->client, sizeof(pass->client), "%s", text);
    return NULL;
}

static void
leave(struct gate *g, const struct gate_pass *pass)
{
    struct count *listener = find(g->listeners, pass->listener);
    struct count *client =
        pass->client[0] ? find(g->clients, pass->client) : NULL;

    assert(listener && g->count > 0);
    g->count--;
    if (--listener->count == 0)
        drop(&g->listeners, listener);
    if (client && --client->count == 0)
        retire(g, client);
}

/* --- under the lock --- */

const char *
gate_enter(struct gate *g, const char *listener,
           const struct gate_limits *limits, struct gate_pass *pass)
{
    const char *why;

    pthread_mutex_lock(&g->lock);
    why = enter(g, listener, limits, pass);
    pthread_mutex_unlock(&g->lock);
    return why;
}

const char *
gate_admit(struct gate *g, const struct addr *client,
           const struct gate_limits *limits, int64_t now_ms,
           struct gate_pass *pass)
{
    char text[ADDR_TEXT_SIZE];
    const char *why;

    if (is_near(client))
        return NULL;
    name(client, text);
    pthread_mutex_lock(&g->lock);
    why = admit(g, text, limits, now_ms * 1000, pass);
    pthread_mutex_unlock(&g->lock);
    return why;
}

void
gate_leave(struct gate *g, struct gate_pass *pass)
{
    pthread_mutex_lock(&g->lock);
    leave(g, pass);
    pthread_mutex_unlock(&g->lock);
    *pass = (struct gate_pass){0};
}

unsigned
gate_refused(struct gate *g, int64_t now_ms)
{
    unsigned count = 0;

    pthread_mutex_lock(&g->lock);
    g->refused++;
    if (g->refused_ms == 0 || now_ms - g->refused_ms >= SAY_EVERY_MS) {
        count = g->refused;
        g->refused = 0;
        g->refused_ms = now_ms;
    }
    pthread_mutex_unlock(&g->lock);
    return count;
}

unsigned
gate_count(struct gate *g)
{
    unsigned count;

    pthread_mutex_lock(&g->lock);
    count = g->count;
    pthread_mutex_unlock(&g->lock);
    return count;
}

unsigned
gate_count_at(struct gate *g, const char *listener)
{
    const struct count *c;
    unsigned count;

    pthread_mutex_lock(&g->lock);
    c = find(g->listeners, listener);
    count = c ? c->count : 0;
    pthread_mutex_unlock(&g->lock);
    return count;
}

struct gate *
gate_new(unsigned all_max)
{
    struct gate *g = mem_new(struct gate);

    g->max = all_max;
    (void)pthread_mutex_init(&g->lock, NULL);
    return g;
}

static void
drop_all(struct count **table)
{
    struct count *c, *next;

    HASH_ITER(hh, *table, c, next)
    {
        drop(table, c);
    }
}

void
gate_free(struct gate **place)
{
    struct gate *g = take(place);

    if (!g)
        return;
    drop_all(&g->listeners);
    drop_all(&g->clients);
    drop_all(&g->idle);
    (void)pthread_mutex_destroy(&g->lock);
    free(g);
}
