#include "relay/guard/login_cache.h"

#include "relay/base/map.h"
#include "relay/base/mem.h"
#include "relay/base/own.h"
#include "relay/base/secret.h"
#include "smtp/sasl_scram.h"

#include <pthread.h>
#include <stdlib.h>

struct row {
    uint8_t mark[SMTP_SASL_SCRAM_KEY];
    int64_t until_ms;
    UT_hash_handle hh; /* in the order in which they end */
};

struct login_cache {
    pthread_mutex_t lock;
    uint8_t key[LOGIN_CACHE_KEY];
    struct row *rows; /* uthash */
};

_Static_assert((int)LOGIN_CACHE_KEY == (int)SMTP_SASL_SCRAM_KEY,
               "the key is one for HMAC-SHA-256");

struct login_cache *
login_cache_new(const uint8_t key[LOGIN_CACHE_KEY])
{
    struct login_cache *c = mem_new(struct login_cache);

    pthread_mutex_init(&c->lock, NULL);
    memcpy(c->key, key, LOGIN_CACHE_KEY);
    return c;
}

static void
drop(struct login_cache *c, struct row *row)
{
    HASH_DEL(c->rows, row);
    free(row);
}

void
login_cache_free(struct login_cache **place)
{
    struct login_cache *c = take(place);
    struct row *row, *next;

    if (!c)
        return;
    HASH_ITER(hh, c->rows, row, next)
    drop(c, row);
    pthread_mutex_destroy(&c->lock);
    explicit_bzero(c, sizeof(*c));
    free(c);
}

/* NUL is in neither of them, so no two logins have one text. */
static void
mark_of(const struct login_cache *c, const char *user, struct slice password,
        const char *hash, uint8_t out[SMTP_SASL_SCRAM_KEY])
{
    scoped(secret_buf_free) struct buf text = {0};

    (void)buf_room(&text, strlen(user) + password.len + strlen(hash) + 2);
    buf_add_text(&text, user);
    buf_add_byte(&text, '\0');
    buf_add(&text, password);
    buf_add_byte(&text, '\0');
    buf_add_text(&text, hash);
    smtp_sasl_scram_sign(c->key, buf_slice(&text), out);
}

static struct row *
find(const struct login_cache *c, const uint8_t mark[SMTP_SASL_SCRAM_KEY])
{
    struct row *row;

    HASH_FIND(hh, c->rows, mark, SMTP_SASL_SCRAM_KEY, row);
    return row;
}

bool
login_cache_has(struct login_cache *c, const char *user, struct slice password,
                const char *hash, int64_t now_ms)
{
    uint8_t mark[SMTP_SASL_SCRAM_KEY];
    const struct row *row;
    bool is_there;

    mark_of(c, user, password, hash, mark);
    pthread_mutex_lock(&c->lock);
    row = find(c, mark);
    is_there = row && now_ms < row->until_ms;
    pthread_mutex_unlock(&c->lock);
    return is_there;
}

void
login_cache_put(struct login_cache *c, const char *user, struct slice password,
                const char *hash, int64_t now_ms)
{
    uint8_t mark[SMTP_SASL_SCRAM_KEY];
    struct row *row;

    mark_of(c, user, password, hash, mark);
    pthread_mutex_lock(&c->lock);
    row = find(c, mark);
    if (row)
        drop(c, row);
    while (c->rows && (HASH_COUNT(c->rows) >= LOGIN_CACHE_MAX ||
                       c->rows->until_ms <= now_ms))
        drop(c, c->rows);
    row = mem_new(struct row);
    memcpy(row->mark, mark, sizeof(row->mark));
    row->until_ms = now_ms + LOGIN_CACHE_MS;
    HASH_ADD(hh, c->rows, mark, sizeof(row->mark), row);
    pthread_mutex_unlock(&c->lock);
}
