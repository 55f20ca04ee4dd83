#include "relay/daemon/token_grant.h"

#include "relay/base/mem.h"
#include "relay/base/secret.h"
#include "relay/base/text.h"

#include <jansson.h>
#include <stdlib.h>
#include <strings.h>

enum { WORD_MAX = 60, SENTENCE_MAX = 200 };

/* --- the question --- */

static void
add_escaped(const char *text, struct buf *out)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                "abcdefghijklmnopqrstuvwxyz0123456789-._";

    for (; *text; text++)
        if (strchr(plain, *text))
            buf_add_byte(out, *text);
        else
            buf_printf(out, "%%%02X", (unsigned char)*text);
}

static void
add_field(const char *name, const char *value, struct buf *out)
{
    if (!*value)
        return;
    if (out->len > 0)
        buf_add_byte(out, '&');
    buf_printf(out, "%s=", name);
    add_escaped(value, out);
}

void
token_grant_form(const struct token_grant_ask *ask, struct buf *out)
{
    add_field("grant_type",
              *ask->refresh_token ? "refresh_token" : "client_credentials",
              out);
    add_field("client_id", ask->client_id, out);
    add_field("client_secret", ask->client_secret, out);
    add_field("refresh_token", ask->refresh_token, out);
    add_field("scope", ask->scope, out);
}

/* --- the answer --- */

static json_t *
parse(struct slice json)
{
    json_error_t ignored;

    return json_loadb(json.p, json.len, JSON_REJECT_DUPLICATES, &ignored);
}

static void
drop(json_t **json)
{
    json_decref(*json);
}

/* It goes into a header-like line of SASL: RFC 6749 appendix A has it of
 * printable characters. */
static bool
take_token(const json_t *object, const char *name, char **out, struct err *err)
{
    const json_t *value = json_object_get(object, name);
    const char *text = json_string_value(value);
    size_t len = value ? json_string_length(value) : 0;

    if (!text || len == 0)
        return err_set(err, ERR_INPUT, "the answer has no %s", name);
    if (len > TOKEN_GRANT_MAX)
        return err_set(err, ERR_LIMIT, "the %s has more than %d octets", name,
                       TOKEN_GRANT_MAX);
    for (size_t i = 0; i < len; i++)
        if (text[i] <= ' ' || text[i] > '~')
            return err_set(err, ERR_INPUT,
                           "the %s has characters that no token has", name);
    *out = mem_text(text);
    return true;
}

/* A number; some servers have it as a string. */
static bool
read_life(const json_t *object, int64_t *out, struct err *err)
{
    const json_t *value = json_object_get(object, "expires_in");
    unsigned long long n = 0;

    *out = TOKEN_GRANT_LIFE_S;
    if (!value || json_is_null(value))
        return true;
    if (json_is_integer(value) && json_integer_value(value) > 0)
        n = (unsigned long long)json_integer_value(value);
    else if (!json_is_string(value) ||
             !slice_number(slice_of(json_string_value(value)), INT64_MAX, &n) ||
             n == 0)
        return err_set(err, ERR_INPUT,
                       "expires_in of the answer is no number of seconds");
    *out = n < TOKEN_GRANT_LIFE_MAX_S ? (int64_t)n : TOKEN_GRANT_LIFE_MAX_S;
    return true;
}

static bool
is_bearer(const json_t *object)
{
    const char *type = json_string_value(json_object_get(object, "token_type"));

    return type && strcasecmp(type, "Bearer") == 0;
}

bool
token_grant_read(struct slice text, struct token_grant *out, struct err *err)
{
    json_t *object scoped(drop) = parse(text);
    struct token_grant g scoped(token_grant_done) = {0};

    if (!json_is_object(object))
        return err_set(err, ERR_INPUT, "the answer is no JSON object");
    if (!is_bearer(object)) /* RFC 6749 section 7.1 */
        return err_set(err, ERR_INPUT,
                       "the answer has no token of type Bearer");
    if (!take_token(object, "access_token", &g.access, err) ||
        !read_life(object, &g.life_s, err))
        return false;
    if (json_object_get(object, "refresh_token") &&
        !take_token(object, "refresh_token", &g.refresh, err))
        return false;
    *out = g;
    g = (struct token_grant){0};
    return true;
}

void
token_grant_done(struct token_grant *g)
{
    secret_text_free(&g->access);
    secret_text_free(&g->refresh);
}

static void
add_said(const json_t *object, const char *name, size_t max, const char *before,
         const struct token_grant_ask *ask, struct buf *out)
{
    const struct slice secrets[] = {slice_of(ask->client_secret),
                                    slice_of(ask->refresh_token)};
    const char *text = json_string_value(json_object_get(object, name));
    scoped(buf_free) struct buf scrubbed = {0};

    if (!text || !*text)
        return;
    buf_add_text(out, before);
    secret_scrub(slice_of(text), secrets, 2, &scrubbed);
    text_clean(buf_slice(&scrubbed), max, out);
}

void
token_grant_refusal(struct slice text, const struct token_grant_ask *ask,
                    struct buf *out)
{
    json_t *object scoped(drop) = parse(text);

    if (!json_is_object(object))
        return;
    add_said(object, "error", WORD_MAX, "", ask, out);
    add_said(object, "error_description", SENTENCE_MAX, out->len ? ": " : "",
             ask, out);
}
