#include "relay/daemon/gate.h"

#include "relay/base/map.h"
#include "relay/base/mem.h"
#include "relay/base/own.h"

#include <stdlib.h>

struct client {
    char text[ADDR_TEXT_SIZE];
    unsigned count;
    UT_hash_handle hh;
};

struct gate {
    struct client *by_text; /* uthash */
    unsigned count, max;
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

static struct client *
find(const struct gate *g, const struct addr *peer)
{
    char text[ADDR_TEXT_SIZE];
    struct client *c;

    name(peer, text);
    HASH_FIND_STR(g->by_text, text, c);
    return c;
}

bool
gate_enter(struct gate *g, const struct addr *peer)
{
    struct client *c;

    if (g->count >= g->max)
        return false;
    if (!is_near(peer)) {
        c = find(g, peer);
        if (!c) {
            c = mem_new(struct client);
            name(peer, c->text);
            HASH_ADD_STR(g->by_text, text, c);
        }
        if (c->count >= GATE_PER_CLIENT_MAX)
            return false;
        c->count++;
    }
    g->count++;
    return true;
}

void
gate_leave(struct gate *g, const struct addr *peer)
{
    struct client *c;

    g->count--;
    if (is_near(peer))
        return;
    c = find(g, peer);
    if (c && --c->count == 0) {
        HASH_DEL(g->by_text, c);
        free(c);
    }
}

unsigned
gate_count(const struct gate *g)
{
    return g->count;
}

struct gate *
gate_new(unsigned all_max)
{
    struct gate *g = mem_new(struct gate);

    g->max = all_max;
    return g;
}

void
gate_free(struct gate **place)
{
    struct gate *g = take(place);
    struct client *c, *next;

    if (!g)
        return;
    HASH_ITER(hh, g->by_text, c, next)
    {
        HASH_DEL(g->by_text, c);
        free(c);
    }
    free(g);
}
