#include "relay/base/base64.h"
#include "relay/base/mem.h"
#include "relay/base/secret.h"
#include "relay/config/check.h"
#include "relay/net/tls.h"

#include <string.h>

enum {
    HTTPS_PORT = 443,
    HTTP_PORT = 80,
    SECRET_MAX = 200, /* octets of the file */
};

struct check {
    struct config *c;
    struct config_errors *errs;
    struct config_webhook *w;
};

static void
blame(const struct check *k, const char *key, const char *why)
{
    config_check_blame(k->c, k->errs, "webhook", k->w->name, key, why);
}

/* --- where --- */

static bool
cut_scheme(struct config_webhook *w, struct slice *rest, struct err *err)
{
    static const char https[] = "https://", http[] = "http://";

    w->is_https = slice_starts_nocase(*rest, https);
    if (!w->is_https && !slice_starts_nocase(*rest, http))
        return err_set(err, ERR_INPUT, "does not begin with https://");
    *rest = slice_from(*rest, strlen(w->is_https ? https : http));
    return true;
}

/* "example.com:8443", "127.0.0.1:80", "[::1]"; what stands behind the name, as
 * a port. */
static bool
cut_host(struct slice *place, struct slice *host, struct err *err)
{
    const char *end;

    if (place->len == 0 || place->p[0] != '[') {
        *host = slice_cut(place, ':');
        return true;
    }
    end = memchr(place->p, ']', place->len);
    if (!end)
        return err_set(err, ERR_INPUT, "has a [ without its ]");
    *host = (struct slice){place->p + 1, (size_t)(end - place->p) - 1};
    *place = slice_from(*place, host->len + 2);
    if (place->len > 0 && place->p[0] != ':')
        return err_set(err, ERR_INPUT, "has something behind its ]");
    *place = slice_from(*place, 1);
    return true;
}

static bool
set_host(const struct check *k, struct slice text, struct err *err)
{
    struct mail_domain name;
    struct addr address;
    struct err ignored;

    if (addr_parse(text, &address, &ignored)) {
        k->w->host = config_keep(k->c->origins, mem_copy(text));
        k->w->is_loopback = addr_is_loopback(&address);
        return !k->w->is_https ||
               err_set(err, ERR_INPUT,
                       "a certificate can't be verified against an IP "
                       "address: give the host's name");
    }
    if (!mail_domain_parse_host(text, &name, &ignored) &&
        !mail_domain_parse(text, &name, err))
        return false;
    k->w->host = config_keep(k->c->origins, mem_text(name.text));
    k->w->is_loopback = strcmp(name.text, "localhost") == 0;
    return true;
}

static bool
set_port(struct config_webhook *w, struct slice text, struct err *err)
{
    unsigned long long port = w->is_https ? HTTPS_PORT : HTTP_PORT;

    if (text.len > 0 && (!slice_number(text, 65535, &port) || port == 0))
        return err_set(err, ERR_LIMIT, "a port is from 1 to 65535");
    w->port = (unsigned)port;
    return true;
}

static bool
set_path(const struct check *k, struct slice text, struct err *err)
{
    bool is_bare = text.len == 0 || text.p[0] != '/';

    for (size_t i = 0; i < text.len; i++)
        if (text.p[i] <= ' ' || text.p[i] > '~' || text.p[i] == '#')
            return err_set(err, ERR_INPUT,
                           "has a path with a space, a # or a character "
                           "beyond ASCII in it");
    k->w->path = config_keep(k->c->origins,
                             mem_printf("%s%.*s", is_bare ? "/" : "",
                                        (int)text.len, text.len ? text.p : ""));
    return true;
}

static bool
split_url(const struct check *k, struct err *err)
{
    struct slice rest = slice_of(k->w->url), place, host;

    if (rest.len == 0)
        return err_set(err, ERR_INPUT, "is missing");
    if (!cut_scheme(k->w, &rest, err))
        return false;
    place = slice_first(rest, strcspn(rest.p, "/?#"));
    rest = slice_from(rest, place.len);
    if (!cut_host(&place, &host, err) || !set_host(k, host, err) ||
        !set_port(k->w, place, err) || !set_path(k, rest, err))
        return false;
    return k->w->is_https || k->w->is_loopback ||
           err_set(err, ERR_INPUT,
                   "goes in clear: https://, unless the host is loopback");
}

/* --- the secret --- */

/* As Standard Webhooks has it: "whsec_" and the key in base64. */
static bool
read_key(const struct check *k, struct err *err)
{
    static const char prefix[] = "whsec_";
    struct buf text scoped(secret_buf_free) = {0};
    struct buf key scoped(secret_buf_free) = {0};
    struct slice value;

    if (!k->w->secret_file[0])
        return err_set(err, ERR_INPUT, "is missing");
    if (!config_route_secret("", k->w->secret_file, &text, err))
        return false;
    value = buf_slice(&text);
    if (value.len > SECRET_MAX || !slice_starts_nocase(value, prefix) ||
        !base64_read(slice_from(value, strlen(prefix)), &key) ||
        key.len < CONFIG_WEBHOOK_KEY_MIN || key.len > CONFIG_WEBHOOK_KEY_MAX)
        return err_set(err, ERR_INPUT,
                       "%.100s does not hold whsec_ and the base64 of %d to %d "
                       "octets: make one by (printf whsec_; openssl rand "
                       "-base64 32)",
                       k->w->secret_file, CONFIG_WEBHOOK_KEY_MIN,
                       CONFIG_WEBHOOK_KEY_MAX);
    memcpy(k->w->key, key.p, key.len);
    k->w->key_len = key.len;
    return true;
}

/* --- what --- */

static void
check_events(const struct check *k)
{
    static const struct {
        const char *word;
        enum config_webhook_event event;
    } rows[] = {{"sent", CONFIG_WEBHOOK_SENT},
                {"deferred", CONFIG_WEBHOOK_DEFERRED},
                {"bounced", CONFIG_WEBHOOK_BOUNCED}};

    for (size_t i = 0; i < k->w->event.count; i++) {
        unsigned event = 0;

        for (size_t j = 0; j < sizeof(rows) / sizeof(*rows); j++)
            if (strcmp(k->w->event.text[i], rows[j].word) == 0)
                event = rows[j].event;
        if (event == 0)
            blame(k, "events", "has to be some of sent, deferred, bounced");
        k->w->events |= event;
    }
    if (k->w->event.count == 0)
        blame(k, "events", "is empty, so that nothing would be told");
}

static void
check_anchors(const struct check *k)
{
    struct net_tls *tls scoped(net_tls_free) = NULL;
    struct err err;

    if (!k->w->ca[0])
        return;
    tls = net_tls_client(k->w->ca, &err);
    if (!tls)
        blame(k, "ca", err.text);
}

void
config_check_webhooks(struct config *c, struct config_errors *errs)
{
    for (size_t i = 0; i < c->webhook_count; i++) {
        struct check k = {c, errs, &c->webhook[i]};
        struct err err;

        if (!split_url(&k, &err))
            blame(&k, "url", err.text);
        if (!read_key(&k, &err))
            blame(&k, "secret_file", err.text);
        check_events(&k);
        check_anchors(&k);
    }
}
