#include "relay/config/check.h"

#include "relay/base/mem.h"
#include "relay/base/secret.h"
#include "relay/mail/domain.h"
#include "smtp/sasl.h"

#include <stdlib.h>

enum {
    SECRET_MAX = 8192, /* octets of a password, client secret or token */
    HTTPS_PORT = 443,
    BY_PASSWORD = SMTP_SASL_BIT(SMTP_SASL_PLAIN) |
                  SMTP_SASL_BIT(SMTP_SASL_LOGIN) |
                  SMTP_SASL_BIT(SMTP_SASL_SCRAM_SHA_256),
    BY_TOKEN =
        SMTP_SASL_BIT(SMTP_SASL_XOAUTH2) | SMTP_SASL_BIT(SMTP_SASL_OAUTHBEARER),
};

struct check {
    struct config *c;
    struct config_errors *errs;
    struct config_route *r;
};

static void
blame(const struct check *k, const char *key, const char *why)
{
    config_check_blame(k->c, k->errs, "route", k->r->name, key, why);
}

static void
blame_oauth(const struct check *k, const char *key, const char *why)
{
    config_check_blame(k->c, k->errs, "oauth", k->r->name, key, why);
}

static bool
is_set(const char *value)
{
    return value[0] != '\0';
}

/* --- secrets --- */

bool
config_route_secret(const char *value, const char *file, struct buf *out,
                    struct err *err)
{
    if (!is_set(file)) {
        buf_add_text(out, value);
        return true;
    }
    if (!config_read_text(file, SECRET_MAX, out, err))
        return err_in(err, "%.100s", file);
    while (out->len > 0 && strchr("\r\n", out->p[out->len - 1]))
        out->len--;
    for (size_t i = 0; i < out->len; i++)
        if ((unsigned char)out->p[i] < ' ' || out->p[i] == 0x7f)
            return err_set(err, ERR_INPUT,
                           "%.100s holds more than one line, or a control "
                           "character",
                           file);
    return out->len > 0 || err_set(err, ERR_INPUT, "%.100s is empty", file);
}

static bool
is_one(const struct check *k, const char *value, const char *file,
       const char *key,
       void (*blame_as)(const struct check *, const char *, const char *))
{
    struct buf text scoped(secret_buf_free) = {0};
    struct err err;

    if (is_set(value) && is_set(file)) {
        blame_as(k, key, "is set in two ways: by itself and as a file");
        return false;
    }
    if (config_route_secret(value, file, &text, &err))
        return true;
    blame_as(k, key, err.text);
    return false;
}

/* --- hosts and TLS --- */

static void
check_hosts(const struct check *k)
{
    const struct config_route *r = k->r;

    for (size_t i = 0; i < r->via_count; i++) {
        if (r->via[i].is_address && r->level == POLICY_LEVEL_VERIFIED) {
            blame(k, "via",
                  "a certificate can't be verified against an IP address: "
                  "give the host's name, or set tls = \"required\"");
            return;
        }
        if (r->via[i].is_mx && r->via_count > 1)
            blame(k, "via", "mx: stands alone in this version");
        if (r->via[i].implicit_tls && r->level == POLICY_LEVEL_NONE) {
            blame(k, "tls", "\"none\" does not go with port 465");
            return;
        }
    }
}

static void
check_tls(const struct check *k)
{
    const struct config_route *r = k->r;

    if (is_set(r->certificate) && !is_set(r->key))
        blame(k, "certificate", "needs route.key as well");
    if (is_set(r->key) && !is_set(r->certificate))
        blame(k, "key", "needs route.certificate as well");
    if (r->level == POLICY_LEVEL_NONE &&
        (is_set(r->certificate) || r->fingerprint_count > 0))
        blame(k, "tls", "\"none\" does not go with certificates");
    if (is_set(r->anchors) && r->level < POLICY_LEVEL_VERIFIED)
        blame(k, "ca", "trust anchors are of no use unless tls = \"verified\"");
}

/* --- OAuth --- */

static void
fill(const struct check *k, const char **place, const char *key, char *value)
{
    struct config_block *b =
        config_raw_find(&k->c->origins->raw, "oauth", k->r->name);
    struct config_setting *s = config_block_find(b, key);

    free(s->value[0]);
    free(s->origin);
    s->value[0] = value;
    s->origin = mem_text("preset");
    *place = value;
}

static void
fill_via(const struct check *k, const char *where)
{
    struct config_block *b =
        config_raw_find(&k->c->origins->raw, "route", k->r->name);
    struct config_setting *s = config_block_find(b, "via");
    struct err err;

    if (k->r->via_count > 0)
        return;
    k->r->via = config_keep(k->c->origins, mem_new(struct config_via));
    if (!config_via_parse(slice_of(where), k->r->via, k->c->origins, &err))
        return;
    k->r->via_count = 1;
    config_setting_add(s, slice_of(where));
    free(s->origin);
    s->origin = mem_text("preset");
}

static bool
has_refresh_token(const struct config_oauth *o)
{
    return is_set(o->refresh_token) || is_set(o->refresh_token_file);
}

static void
fill_microsoft(const struct check *k)
{
    struct config_oauth *o = &k->r->oauth;

    fill_via(k, "smtp.office365.com:587");
    if (!is_set(o->token_url) && !is_set(o->tenant))
        blame_oauth(k, "tenant",
                    "is missing: the directory's id, or a domain of it");
    else if (!is_set(o->token_url))
        fill(k, &o->token_url, "token_url",
             mem_printf("https://login.microsoftonline.com/%s/oauth2/v2.0/"
                        "token",
                        o->tenant));
    if (!is_set(o->scope))
        fill(k, &o->scope, "scope",
             mem_text(has_refresh_token(o)
                          ? "https://outlook.office.com/SMTP.Send "
                            "offline_access"
                          : "https://outlook.office365.com/.default"));
}

static void
fill_google(const struct check *k)
{
    struct config_oauth *o = &k->r->oauth;

    fill_via(k, "smtp.gmail.com:587");
    if (!is_set(o->token_url))
        fill(k, &o->token_url, "token_url",
             mem_text("https://oauth2.googleapis.com/token"));
    if (!is_set(o->scope))
        fill(k, &o->scope, "scope", mem_text("https://mail.google.com/"));
    if (!has_refresh_token(o))
        blame_oauth(k, "refresh_token_file",
                    "is missing: tokens for service accounts are not to be "
                    "had in this version");
}

static void
fill_preset(const struct check *k)
{
    switch ((enum config_oauth_preset)k->r->oauth.preset) {
    case CONFIG_OAUTH_OTHER:
        break;
    case CONFIG_OAUTH_MICROSOFT365:
        fill_microsoft(k);
        break;
    case CONFIG_OAUTH_GOOGLE:
        fill_google(k);
        break;
    }
}

/* RFC 6749 section 3.2: by TLS, and without a fragment. */
static bool
split_url(struct config_oauth *o, struct config_origins *origins,
          struct err *err)
{
    static const char scheme[] = "https://";
    struct slice rest = slice_of(o->token_url), place;
    struct mail_domain host;
    unsigned long long port = HTTPS_PORT;

    if (!slice_starts_nocase(rest, scheme))
        return err_set(err, ERR_INPUT, "does not begin with https://");
    rest = slice_from(rest, sizeof(scheme) - 1);
    place = slice_first(rest, strcspn(rest.p, "/?#"));
    rest = slice_from(rest, place.len);
    if (rest.len == 0 || rest.p[0] != '/' || strpbrk(rest.p, " #"))
        return err_set(err, ERR_INPUT, "has no path, or one with a # in it");
    if (!mail_domain_parse_host(slice_cut(&place, ':'), &host, err))
        return false;
    if (place.len > 0 && (!slice_number(place, 65535, &port) || port == 0))
        return err_set(err, ERR_LIMIT, "a port is from 1 to 65535");
    o->host.name = config_keep(origins, mem_text(host.text));
    o->host.port = (unsigned)port;
    o->path = config_keep(origins, mem_copy(rest));
    return true;
}

static void
check_oauth(const struct check *k)
{
    struct config_oauth *o = &k->r->oauth;
    struct err err;

    if (is_set(o->token_url) && !split_url(o, k->c->origins, &err))
        blame_oauth(k, "token_url", err.text);
    if (!is_set(o->token_url) && o->preset == CONFIG_OAUTH_OTHER)
        blame_oauth(k, "token_url", "is missing");
    if (!is_set(o->client_id))
        blame_oauth(k, "client_id", "is missing");
    (void)is_one(k, o->client_secret, o->client_secret_file,
                 "client_secret_file", blame_oauth);
    (void)is_one(k, o->refresh_token, o->refresh_token_file,
                 "refresh_token_file", blame_oauth);
    if (!has_refresh_token(o) && !is_set(o->client_secret) &&
        !is_set(o->client_secret_file))
        blame_oauth(k, "client_secret_file",
                    "is missing: without a refresh token it alone proves who "
                    "asks");
}

/* --- AUTH --- */

static bool
has_oauth(const struct check *k)
{
    const struct config_block *b =
        config_raw_find(&k->c->origins->raw, "oauth", k->r->name);

    return b && b->count > 0;
}

static unsigned
mechanisms(const struct check *k)
{
    switch (k->r->auth) {
    case CONFIG_AUTH_AUTO:
        return has_oauth(k) ? BY_TOKEN : BY_PASSWORD;
    case CONFIG_AUTH_PLAIN:
        return SMTP_SASL_BIT(SMTP_SASL_PLAIN);
    case CONFIG_AUTH_LOGIN:
        return SMTP_SASL_BIT(SMTP_SASL_LOGIN);
    case CONFIG_AUTH_SCRAM_SHA_256:
        return SMTP_SASL_BIT(SMTP_SASL_SCRAM_SHA_256);
    case CONFIG_AUTH_XOAUTH2:
        return SMTP_SASL_BIT(SMTP_SASL_XOAUTH2);
    case CONFIG_AUTH_OAUTHBEARER:
        return SMTP_SASL_BIT(SMTP_SASL_OAUTHBEARER);
    }
    return 0;
}

static void
check_channel(const struct check *k)
{
    struct config_setting *s = config_block_find(
        config_raw_find(&k->c->origins->raw, "route", k->r->name), "tls");

    if (k->r->level < POLICY_LEVEL_REQUIRED)
        blame(k, "tls",
              "does not go with auth, whose secrets would go in clear: it has "
              "to be \"verified\" or \"required\"");
    else if (k->r->level < POLICY_LEVEL_VERIFIED &&
             k->r->fingerprint_count == 0)
        config_warning(k->errs, s->origin, s->name,
                       "\"required\" shows the secrets of auth to whoever "
                       "answers: \"verified\" would look who that is");
}

static void
check_auth(const struct check *k)
{
    struct config_route *r = k->r;
    bool by_token;

    r->mechanisms = mechanisms(k);
    by_token = r->mechanisms & BY_TOKEN;
    check_channel(k);
    if (!is_set(r->user))
        blame(k, "user", "is missing");
    if (by_token && !has_oauth(k))
        blame(k, "auth", "needs an oauth section, which gets the tokens");
    if (!by_token && has_oauth(k))
        blame(k, "auth", "does not go with an oauth section");
    if (by_token && (is_set(r->password) || is_set(r->password_file)))
        blame(k, "password_file", "does not go with tokens");
    if (!by_token && !is_set(r->password) && !is_set(r->password_file))
        blame(k, "password_file", "is missing");
    (void)is_one(k, r->password, r->password_file, "password_file", blame);
}

void
config_route_check(struct config *c, struct config_errors *errs,
                   struct config_route *r)
{
    struct check k = {c, errs, r};

    if (has_oauth(&k)) {
        fill_preset(&k);
        check_oauth(&k);
    }
    if (r->to.count == 0)
        blame(&k, "to", "is missing: \"*\" is everybody");
    if (r->via_count == 0)
        blame(&k, "via", "is missing");
    check_hosts(&k);
    check_tls(&k);
    if (is_set(r->user) || is_set(r->password) || is_set(r->password_file) ||
        has_oauth(&k) || r->auth != CONFIG_AUTH_AUTO)
        check_auth(&k);
}
