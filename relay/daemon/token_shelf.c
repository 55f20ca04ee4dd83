#include "relay/daemon/token_shelf.h"

#include "relay/base/mem.h"
#include "relay/base/secret.h"

#include <inttypes.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>

void
token_shelf_source(const struct token_fetch_place *place,
                   const struct token_grant_ask *ask,
                   char out[TOKEN_SHELF_SOURCE_SIZE])
{
    struct buf all scoped(secret_buf_free) = {0};
    uint8_t digest[SHA256_DIGEST_LENGTH];

    buf_printf(&all, "%s\n%u\n%s\n%s\n%s\n%s\n", place->host, place->port,
               place->path, ask->client_id, ask->scope, ask->refresh_token);
    if (!SHA256((const uint8_t *)all.p, all.len, digest))
        abort();
    for (size_t i = 0; i < sizeof(digest); i++)
        (void)snprintf(out + 2 * i, 3, "%02x", digest[i]);
}

void
token_shelf_format(const struct token_shelf *t, struct buf *out)
{
    buf_printf(out, "source: %s\n", t->source);
    buf_printf(out, "obtained: %" PRId64 "\n", t->obtained_ms);
    buf_printf(out, "expires: %" PRId64 "\n", t->expires_ms);
    if (t->access)
        buf_printf(out, "access: %s\n", t->access);
    if (t->refresh)
        buf_printf(out, "refresh: %s\n", t->refresh);
}

static bool
set_time(struct slice value, int64_t *out)
{
    unsigned long long number;

    if (!slice_number(value, INT64_MAX, &number))
        return false;
    *out = (int64_t)number;
    return true;
}

static bool
set_text(struct slice value, char **out)
{
    if (*out || value.len == 0 || value.len > TOKEN_GRANT_MAX)
        return false;
    *out = mem_copy(value);
    return true;
}

static bool
set_field(struct token_shelf *t, struct slice key, struct slice value)
{
    if (slice_is(key, "source")) {
        if (value.len != sizeof(t->source) - 1)
            return false;
        memcpy(t->source, value.p, value.len);
        return true;
    }
    if (slice_is(key, "obtained"))
        return set_time(value, &t->obtained_ms);
    if (slice_is(key, "expires"))
        return set_time(value, &t->expires_ms);
    if (slice_is(key, "access"))
        return set_text(value, &t->access);
    if (slice_is(key, "refresh"))
        return set_text(value, &t->refresh);
    return true; /* of a later version */
}

bool
token_shelf_parse(struct slice text, struct token_shelf *out, struct err *err)
{
    struct token_shelf t scoped(token_shelf_done) = {0};

    while (text.len > 0) {
        struct slice value = slice_cut(&text, '\n');
        struct slice key = slice_cut(&value, ':');

        if (!set_field(&t, key, slice_trim(value)))
            return err_set(err, ERR_INPUT, "a kept token: bad %.*s",
                           (int)(key.len < 20 ? key.len : 20), key.p);
    }
    if (!t.source[0] || t.expires_ms < t.obtained_ms)
        return err_set(err, ERR_INPUT, "a kept token without its source");
    *out = t;
    t = (struct token_shelf){0};
    return true;
}

void
token_shelf_done(struct token_shelf *t)
{
    secret_text_free(&t->access);
    secret_text_free(&t->refresh);
    *t = (struct token_shelf){0};
}
