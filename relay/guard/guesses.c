#include "relay/guard/guesses.h"

#include "relay/base/map.h"
#include "relay/base/mem.h"
#include "relay/base/own.h"

#include <pthread.h>
#include <stdlib.h>

enum {
    MINUTE_MS = 60 * 1000,
    DAY_MS = 24 * 60 * MINUTE_MS,
};

enum kind { OF_NET, OF_NET_WIDER, OF_NET_WIDEST, OF_USER, OF_PAIR, KINDS };

static const struct {
    unsigned bits4, bits6;
} nets[KINDS] = {
    [OF_NET] = {32, 64},
    [OF_NET_WIDER] = {26, 48},
    [OF_NET_WIDEST] = {21, 32},
    [OF_PAIR] = {32, 64},
};

/* 0: no limit. */
struct limit {
    unsigned minute, day;
};

static const struct limit limits[][KINDS] = {
    [GUESSES_OF_PASSWORDS] = {[OF_NET] = {10, 50},
                              [OF_NET_WIDER] = {30, 150},
                              [OF_NET_WIDEST] = {90, 450},
                              [OF_USER] = {30, 150},
                              [OF_PAIR] = {10, 50}},
    [GUESSES_OF_TOKENS] = {[OF_NET] = {10, 0},
                           [OF_NET_WIDER] = {30, 0},
                           [OF_NET_WIDEST] = {90, 0},
                           [OF_PAIR] = {10, 0}},
};

/* Of which one can tell neither addresses nor names. */
struct count {
    uint64_t key;
    enum kind kind;
    int64_t minute_ms, day_ms; /* when they began */
    unsigned minute, day;
    int64_t passed_ms; /* OF_PAIR */
    UT_hash_handle hh; /* the table is in the order of touch */
};

struct guesses {
    pthread_mutex_t lock;
    struct hash_key key;
    const struct limit *limits; /* of each kind */
    struct count *counts, *known;
};

struct guesses *
guesses_new(const struct hash_key *key, enum guesses_of what)
{
    struct guesses *g = mem_new(struct guesses);

    pthread_mutex_init(&g->lock, NULL);
    g->key = *key;
    g->limits = limits[what];
    return g;
}

static void
free_all(struct count **table)
{
    struct count *c, *next;

    HASH_ITER(hh, *table, c, next)
    {
        HASH_DEL(*table, c);
        free(c);
    }
}

void
guesses_free(struct guesses **place)
{
    struct guesses *g = take(place);

    if (!g)
        return;
    free_all(&g->counts);
    free_all(&g->known);
    pthread_mutex_destroy(&g->lock);
    free(g);
}

/* --- keys --- */

struct name {
    unsigned char octets[1 + 16 + 8]; /* kind, network, user */
};

static void
put_net(struct name *n, const struct addr *peer, enum kind kind)
{
    const unsigned char *from = NULL;
    unsigned bits = 0;

    if (peer->any.sa_family == AF_INET) {
        from = (const unsigned char *)&peer->v4.sin_addr;
        bits = nets[kind].bits4;
    } else if (peer->any.sa_family == AF_INET6) {
        from = (const unsigned char *)&peer->v6.sin6_addr;
        bits = nets[kind].bits6;
    }
    for (unsigned i = 0; i * 8 < bits; i++) {
        unsigned keep = bits - i * 8 < 8 ? bits - i * 8 : 8;

        n->octets[1 + i] = (unsigned char)(from[i] & (0xff00U >> keep));
    }
}

static uint64_t
key_of(const struct guesses *g, enum kind kind, const struct addr *peer,
       const char *user)
{
    struct name n = {{(unsigned char)kind}};
    uint64_t hash;

    /* IPv4 and IPv6 in one table: a family of its own bit each. */
    n.octets[0] |= peer->any.sa_family == AF_INET6 ? 0x80 : 0;
    if (kind != OF_USER)
        put_net(&n, peer, kind);
    if (kind == OF_USER || kind == OF_PAIR) {
        hash = hash_keyed(&g->key, slice_of(user));
        memcpy(n.octets + 17, &hash, sizeof(hash));
    }
    return hash_keyed(&g->key,
                      (struct slice){(const char *)n.octets, sizeof(n.octets)});
}

/* --- counts --- */

static struct count *
find(struct count *table, uint64_t key)
{
    struct count *c;

    HASH_FIND(hh, table, &key, sizeof(key), c);
    return c;
}

/* Finds or makes it, and puts it at the end of the row. */
static struct count *
touch(struct count **table, size_t most, uint64_t key, enum kind kind)
{
    struct count *c = find(*table, key);

    if (c) {
        HASH_DEL(*table, c);
    } else {
        if (HASH_COUNT(*table) >= most) {
            struct count *oldest = *table;

            HASH_DEL(*table, oldest);
            free(oldest);
        }
        c = mem_new(struct count);
        c->key = key;
        c->kind = kind;
    }
    HASH_ADD(hh, *table, key, sizeof(c->key), c);
    return c;
}

static void
add_one(struct count *c, int64_t now_ms)
{
    if (now_ms - c->minute_ms >= MINUTE_MS) {
        c->minute_ms = now_ms;
        c->minute = 0;
    }
    if (now_ms - c->day_ms >= DAY_MS) {
        c->day_ms = now_ms;
        c->day = 0;
    }
    c->minute++;
    c->day++;
}

static unsigned
seconds_to(int64_t until_ms, int64_t now_ms)
{
    return until_ms > now_ms ? (unsigned)((until_ms - now_ms + 999) / 1000) : 0;
}

static bool
is_reached(unsigned count, unsigned limit)
{
    return limit > 0 && count >= limit;
}

static unsigned
wait_for(const struct guesses *g, const struct count *c, int64_t now_ms)
{
    unsigned wait = 0, other = 0;

    if (!c)
        return 0;
    if (is_reached(c->minute, g->limits[c->kind].minute))
        wait = seconds_to(c->minute_ms + MINUTE_MS, now_ms);
    if (is_reached(c->day, g->limits[c->kind].day))
        other = seconds_to(c->day_ms + DAY_MS, now_ms);
    return wait > other ? wait : other;
}

/* Everybody on this machine: one application with a wrong password must not
 * lock out the others. */
static bool
is_near(const struct addr *peer)
{
    return peer->any.sa_family == AF_UNSPEC ||
           (peer->any.sa_family == AF_INET6 && addr_is_loopback(peer)) ||
           (peer->any.sa_family == AF_INET &&
            peer->v4.sin_addr.s_addr == htonl(INADDR_LOOPBACK));
}

static enum kind
first_kind(const struct addr *peer)
{
    return is_near(peer) ? OF_USER : OF_NET;
}

static bool
is_counted(const struct guesses *g, const struct addr *peer)
{
    return g->limits[OF_USER].minute > 0 || !is_near(peer);
}

/* The pair, when this user has logged in from there. */
static struct count *
known_pair(const struct guesses *g, const struct addr *peer, const char *user,
           int64_t now_ms)
{
    struct count *c = find(g->known, key_of(g, OF_PAIR, peer, user));

    return c && now_ms - c->passed_ms < GUESSES_KNOWN_MS ? c : NULL;
}

unsigned
guesses_wait(struct guesses *g, const struct addr *peer, const char *user,
             int64_t now_ms)
{
    const struct count *pair;
    unsigned most = 0;

    if (!is_counted(g, peer))
        return 0;
    pthread_mutex_lock(&g->lock);
    pair = known_pair(g, peer, user, now_ms);
    if (pair)
        most = wait_for(g, pair, now_ms);
    for (enum kind kind = first_kind(peer); !pair && kind < OF_PAIR; kind++) {
        unsigned wait =
            wait_for(g, find(g->counts, key_of(g, kind, peer, user)), now_ms);

        most = wait > most ? wait : most;
    }
    pthread_mutex_unlock(&g->lock);
    return most;
}

static unsigned
delay_for(unsigned failures)
{
    unsigned ms = failures > GUESSES_FREE
                      ? (failures - GUESSES_FREE) * GUESSES_DELAY_MS
                      : 0;

    return ms < GUESSES_DELAY_MAX_MS ? ms : GUESSES_DELAY_MAX_MS;
}

unsigned
guesses_failed(struct guesses *g, const struct addr *peer, const char *user,
               int64_t now_ms)
{
    struct count *pair;
    unsigned failures = 0;

    if (!is_counted(g, peer))
        return 0;
    pthread_mutex_lock(&g->lock);
    pair = known_pair(g, peer, user, now_ms);
    if (pair) {
        add_one(pair, now_ms);
        failures = pair->day;
    }
    for (enum kind kind = first_kind(peer); !pair && kind < OF_PAIR; kind++) {
        struct count *c;

        if (g->limits[kind].minute == 0)
            continue;
        c = touch(&g->counts, GUESSES_COUNTS_MAX, key_of(g, kind, peer, user),
                  kind);
        add_one(c, now_ms);
        if (kind == first_kind(peer))
            failures = c->day;
    }
    pthread_mutex_unlock(&g->lock);
    return delay_for(failures);
}

void
guesses_passed(struct guesses *g, const struct addr *peer, const char *user,
               int64_t now_ms)
{
    struct count *pair;

    pthread_mutex_lock(&g->lock);
    pair = touch(&g->known, GUESSES_KNOWN_MAX, key_of(g, OF_PAIR, peer, user),
                 OF_PAIR);
    pair->passed_ms = now_ms;
    pthread_mutex_unlock(&g->lock);
}
