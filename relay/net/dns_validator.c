#include "relay/net/dns_validator.h"

#include "relay/base/mem.h"
#include "relay/net/uv_events.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <unbound.h>

#define TRUST_ANCHOR "/usr/share/dns/root.key"

enum {
    CLASS_IN = 1,
    SEC_BOGUS = 1, /* of ub_event_callback_type */
    SEC_SECURE = 2,
};

/* What a caller waits for.  libunbound drops its callbacks when its context
 * is deleted, so all of them are listed here as well. */
struct flight {
    TAILQ_ENTRY(flight) link;
    struct net_dns_validator *validator;
    net_dns_validated_fn *validated;
    void *ctx;
};

struct net_dns_validator {
    struct ub_event_base *base;
    struct ub_ctx *unbound;
    TAILQ_HEAD(, flight) flights;
};

static void
land(struct flight *f, const void *message, int len, bool secure,
     const char *why)
{
    net_dns_validated_fn *validated = f->validated;
    void *ctx = f->ctx;

    TAILQ_REMOVE(&f->validator->flights, f, link);
    free(f);
    validated(ctx, message, len > 0 ? (size_t)len : 0, secure, why);
}

static void
resolved(void *ctx, int rcode, void *message, int len, int sec, char *why_bogus,
         int was_ratelimited)
{
    char why[200];

    (void)was_ratelimited;
    if (sec == SEC_BOGUS) {
        (void)snprintf(why, sizeof(why), "DNSSEC: bogus%s%s",
                       why_bogus ? ": " : "", why_bogus ? why_bogus : "");
        land(ctx, NULL, 0, false, why);
    } else if (rcode != 0 || !message || len <= 0) {
        (void)snprintf(why, sizeof(why), "no answer (rcode %d)", rcode);
        land(ctx, NULL, 0, false, why);
    } else {
        land(ctx, message, len, sec == SEC_SECURE, NULL);
    }
}

void
net_dns_validator_ask(struct net_dns_validator *v, const char *name,
                      enum dns_type type, net_dns_validated_fn *validated,
                      void *ctx)
{
    struct flight *f = mem_new(struct flight);
    int error;

    f->validator = v;
    f->validated = validated;
    f->ctx = ctx;
    TAILQ_INSERT_TAIL(&v->flights, f, link);
    error = ub_resolve_event(v->unbound, name, (int)type, CLASS_IN, f, resolved,
                             NULL);
    if (error)
        land(f, NULL, 0, false, ub_strerror(error));
}

/* --- birth and end --- */

struct option {
    const char *name, *value;
};

/* Modest caches: relay/net/dns_cache keeps the answers that matter. */
static const struct option options[] = {
    {"module-config:", "validator iterator"},
    {"msg-cache-size:", "1m"},
    {"rrset-cache-size:", "2m"},
    {"key-cache-size:", "1m"},
    {"edns-buffer-size:", "1232"}, /* RFC 9715 section 3.1 */
    {"do-not-query-localhost:", "no"},
    {"qname-minimisation:", "yes"},
    {"cache-max-ttl:", "86400"},
    {"harden-glue:", "yes"},
    {"harden-dnssec-stripped:", "yes"},
};

static bool
refused(struct err *err, const char *what, int error)
{
    return err_set(err, ERR_SYSTEM, "%s: %s", what, ub_strerror(error));
}

static bool
set_options(struct ub_ctx *unbound, struct err *err)
{
    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        int error =
            ub_ctx_set_option(unbound, options[i].name, options[i].value);

        if (error)
            return refused(err, options[i].name, error);
    }
    return true;
}

static bool
set_forwarders(struct ub_ctx *unbound, const struct net_dns_config *config,
               struct err *err)
{
    if (config->recurse)
        return true;
    if (config->server_count == 0) {
        int error = ub_ctx_resolvconf(unbound, NULL);

        return error == 0 || refused(err, "/etc/resolv.conf", error);
    }
    for (size_t i = 0; i < config->server_count; i++) {
        char host[ADDR_TEXT_SIZE];
        char where[ADDR_TEXT_SIZE + 8];
        int error;

        (void)snprintf(where, sizeof(where), "%s@%u",
                       addr_text(&config->servers[i], host),
                       addr_port(&config->servers[i]));
        error = ub_ctx_set_fwd(unbound, where);
        if (error)
            return refused(err, where, error);
    }
    return true;
}

static bool
set_anchor(struct ub_ctx *unbound, const char *file, struct err *err)
{
    const char *path = file && *file ? file : TRUST_ANCHOR;
    int error = ub_ctx_add_ta_file(unbound, path);

    /* libunbound reads the file when it is first asked something, and then
     * only says that it could not begin: removing a name makes it begin. */
    if (!error)
        error = ub_ctx_zone_remove(unbound, "anchor.invalid.");
    if (error)
        return err_set(err, ERR_INPUT,
                       "trust anchor %s: %s (Debian's is in the package "
                       "dns-root-data)",
                       path, ub_strerror(error));
    return true;
}

struct net_dns_validator *
net_dns_validator_open(uv_loop_t *loop, const struct net_dns_config *config,
                       const char *trust_anchor, struct err *err)
{
    struct net_dns_validator *v = mem_new(struct net_dns_validator);

    TAILQ_INIT(&v->flights);
    v->base = net_uv_events_new(loop);
    v->unbound = ub_ctx_create_ub_event(v->base);
    if (!v->unbound)
        abort();
    (void)ub_ctx_debugout(v->unbound, NULL); /* only the daemon logs */
    if (set_options(v->unbound, err) &&
        set_forwarders(v->unbound, config, err) &&
        set_anchor(v->unbound, trust_anchor, err))
        return v;
    net_dns_validator_close(&v);
    return NULL;
}

void
net_dns_validator_close(struct net_dns_validator **slot)
{
    struct net_dns_validator *v = take(slot);
    struct flight *f;

    if (!v)
        return;
    ub_ctx_delete(v->unbound);
    while ((f = TAILQ_FIRST(&v->flights)) != NULL)
        land(f, NULL, 0, false, "cancelled");
    net_uv_events_free(&v->base);
    free(v);
}
