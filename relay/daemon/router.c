#include "relay/daemon/router.h"

#include "relay/base/buf.h"
#include "relay/base/mem.h"

#include <stdlib.h>

void
router_redirect(const struct config *c, struct mail_envelope *e)
{
    const char *at = strrchr(c->redirect_to, '@');

    if (c->mode != CONFIG_MODE_REDIRECT)
        return;
    for (size_t i = 0; i < e->rcpt_count; i++) {
        struct mail_rcpt *rcpt = &e->rcpt[i];

        if (!rcpt->orcpt)
            rcpt->orcpt = mem_printf("rfc822;%s", rcpt->address);
        free(rcpt->address);
        free(rcpt->domain);
        rcpt->address = mem_text(c->redirect_to);
        rcpt->domain = mem_text(at ? at + 1 : "");
    }
}

char *
router_destination(const struct config *c, const char *from,
                   const char *address, const char *domain)
{
    const struct config_route *route = config_route_for(c, from, address);

    if (route)
        return mem_printf(ROUTER_PREFIX "%s", route->name);
    return mem_text(domain);
}

const struct config_route *
router_route(const struct config *c, const char *destination, bool *gone)
{
    size_t skip = strlen(ROUTER_PREFIX);

    *gone = strncmp(destination, ROUTER_PREFIX, skip) == 0;
    if (!*gone)
        return NULL;
    for (size_t i = 0; i < c->route_count; i++)
        if (strcmp(c->route[i].name, destination + skip) == 0) {
            *gone = false;
            return &c->route[i];
        }
    return NULL;
}

/* Where some hosts have other ports the candidates see to each. */
static bool
is_all_implicit(const struct config_route *route)
{
    for (size_t i = 0; route && i < route->via_count; i++)
        if (!route->via[i].implicit_tls)
            return false;
    return route != NULL;
}

struct policy_inputs
router_inputs(const struct config *c, const char *destination,
              const struct policy_facts *facts, int64_t now_ms)
{
    bool gone;
    const struct config_route *route = router_route(c, destination, &gone);
    struct config_domain rule = config_rule_for(c, destination, now_ms);

    return (struct policy_inputs){
        .facts = facts,
        .level = route ? route->level : rule.level,
        .port = route ? route->via[0].port : c->delivery.port,
        .implicit_tls = is_all_implicit(route),
        .is_route = route != NULL,
        .dane = route ? c->policy.dane : rule.dane,
        .fingerprints = route ? NULL : rule.fingerprint,
        .fingerprint_count = route ? 0 : rule.fingerprint_count,
        .report_only = !route && rule.enforce == CONFIG_ENFORCE_REPORT,
    };
}

char *
router_fingerprint(const struct config *c)
{
    struct buf b = {0};

    for (size_t i = 0; i < c->route_count; i++) {
        const struct config_route *r = &c->route[i];

        buf_printf(&b, "%s\n", r->name);
        for (size_t k = 0; k < r->from.count; k++)
            buf_printf(&b, "from %s\n", r->from.text[k]);
        for (size_t k = 0; k < r->to.count; k++)
            buf_printf(&b, "to %s\n", r->to.text[k]);
    }
    (void)buf_text(&b);
    return b.p;
}
