#include "relay/net/tls_cache.h"

#include "relay/base/mem.h"

#include <stdlib.h>
#include <string.h>

static void
empty(struct net_tls_session *place)
{
    free(place->key);
    free(place->facts);
    SSL_SESSION_free(place->session);
    *place = (struct net_tls_session){0};
}

static struct net_tls_session *
find_key(const struct net_tls_cache *cache, const char *key)
{
    for (size_t i = 0; cache->places && i < NET_TLS_SESSIONS_MAX; i++)
        if (cache->places[i].key && strcmp(cache->places[i].key, key) == 0)
            return &cache->places[i];
    return NULL;
}

/* A free place, which has the age 0, or the oldest. */
static struct net_tls_session *
find_oldest(struct net_tls_cache *cache)
{
    struct net_tls_session *oldest = &cache->places[0];

    for (size_t i = 1; i < NET_TLS_SESSIONS_MAX; i++)
        if (cache->places[i].proven_s < oldest->proven_s)
            oldest = &cache->places[i];
    return oldest;
}

void
net_tls_cache_put(struct net_tls_cache *cache, const char *key,
                  SSL_SESSION *session, const struct net_tls_facts *facts,
                  int64_t proven_s)
{
    struct net_tls_session *place;

    if (!cache->places)
        cache->places = mem_array(struct net_tls_session, NET_TLS_SESSIONS_MAX);
    place = find_key(cache, key);
    if (!place)
        place = find_oldest(cache);
    empty(place);
    place->key = mem_text(key);
    place->session = session;
    place->facts = mem_new(struct net_tls_facts);
    *place->facts = *facts;
    place->proven_s = proven_s;
}

const struct net_tls_session *
net_tls_cache_find(const struct net_tls_cache *cache, const char *key,
                   int64_t now_s)
{
    const struct net_tls_session *place = find_key(cache, key);

    /* A clock that was set back makes a session too old, never young again. */
    if (!place || now_s < place->proven_s ||
        now_s - place->proven_s > NET_TLS_SESSION_AGE_S)
        return NULL;
    if (place->facts->not_after && place->facts->not_after <= now_s)
        return NULL;
    return SSL_SESSION_is_resumable(place->session) ? place : NULL;
}

void
net_tls_cache_done(struct net_tls_cache *cache)
{
    for (size_t i = 0; cache->places && i < NET_TLS_SESSIONS_MAX; i++)
        empty(&cache->places[i]);
    free(cache->places);
    cache->places = NULL;
}
