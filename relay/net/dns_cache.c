#include "relay/net/dns_cache.h"

#include "relay/base/map.h"
#include "relay/base/mem.h"

#include <stdio.h>
#include <stdlib.h>

struct kept {
    char key[NET_DNS_KEY_SIZE];
    struct dns_answer answer;
    uint64_t since, until; /* ms */
    size_t octets;
    UT_hash_handle hh;
};

struct net_dns_cache {
    struct kept *all; /* the one used longest ago is first */
    size_t octets;
    size_t answers_max, octets_max;
};

struct net_dns_cache *
net_dns_cache_new(size_t answers_max, size_t octets_max)
{
    struct net_dns_cache *c = mem_new(struct net_dns_cache);

    c->answers_max = answers_max;
    c->octets_max = octets_max;
    return c;
}

static void
drop(struct net_dns_cache *c, struct kept *k)
{
    HASH_DEL(c->all, k);
    c->octets -= k->octets;
    dns_answer_done(&k->answer);
    free(k);
}

void
net_dns_cache_free(struct net_dns_cache **cache)
{
    if (!*cache)
        return;
    net_dns_cache_forget(*cache, NULL);
    free(*cache);
    *cache = NULL;
}

static struct kept *
find(struct net_dns_cache *c, const char *name, enum dns_type type)
{
    char key[NET_DNS_KEY_SIZE];
    struct kept *k;

    net_dns_key(name, type, key);
    HASH_FIND_STR(c->all, key, k);
    return k;
}

static size_t
weigh(const struct dns_answer *a)
{
    size_t octets = sizeof(struct kept) + a->count * sizeof(*a->records);

    for (size_t i = 0; i < a->count; i++) {
        if (a->type == DNS_TXT)
            octets += a->records[i].txt.len;
        if (a->type == DNS_TLSA)
            octets += a->records[i].tlsa.len;
    }
    return octets;
}

void
net_dns_cache_put(struct net_dns_cache *c, const struct dns_answer *a,
                  uint64_t now_ms)
{
    struct kept *k = find(c, a->name, a->type);

    if (k)
        drop(c, k);
    if (a->outcome == DNS_FAILED || a->ttl_s == 0)
        return;
    k = mem_new(struct kept);
    net_dns_key(a->name, a->type, k->key);
    dns_answer_copy(a, &k->answer);
    k->since = now_ms;
    k->until = now_ms + (uint64_t)a->ttl_s * 1000;
    k->octets = weigh(a);
    HASH_ADD_STR(c->all, key, k);
    c->octets += k->octets;
    while (c->octets > c->octets_max || HASH_COUNT(c->all) > c->answers_max)
        drop(c, c->all);
}

bool
net_dns_cache_find(struct net_dns_cache *c, const char *name,
                   enum dns_type type, uint64_t now_ms, struct dns_answer *out)
{
    struct kept *k = find(c, name, type);
    uint32_t age_s;

    if (!k)
        return false;
    if (now_ms >= k->until) {
        drop(c, k);
        return false;
    }
    HASH_DEL(c->all, k);
    HASH_ADD_STR(c->all, key, k);
    dns_answer_copy(&k->answer, out);
    age_s = (uint32_t)((now_ms - k->since) / 1000);
    out->ttl_s -= age_s;
    for (size_t i = 0; i < out->count; i++)
        out->records[i].ttl_s -=
            age_s < out->records[i].ttl_s ? age_s : out->records[i].ttl_s;
    return true;
}

void
net_dns_cache_forget(struct net_dns_cache *c, const char *name)
{
    struct kept *k, *next;

    HASH_ITER(hh, c->all, k, next)
    {
        if (!name || strcmp(k->answer.name, name) == 0)
            drop(c, k);
    }
}

void
net_dns_key(const char *name, enum dns_type type, char out[NET_DNS_KEY_SIZE])
{
    (void)snprintf(out, NET_DNS_KEY_SIZE, "%d %.*s", (int)type, DNS_NAME_MAX,
                   name);
}
