#include "relay/daemon/router.h"

#include "relay/base/buf.h"
#include "relay/base/mem.h"
#include "relay/mail/xtext.h"

#include <stdlib.h>

static bool
is_ascii(const char *text)
{
    for (; *text != '\0'; text++)
        if ((unsigned char)*text > 127)
            return false;
    return true;
}

/* The header section stays ASCII, wherever the message has to go. */
static void
add_original(const char *address, struct buf *out)
{
    buf_add_text(out, "X-Original-To: ");
    if (is_ascii(address))
        buf_add_text(out, address);
    else
        mail_xtext_encode_utf8(slice_of(address), out);
    buf_add_text(out, "\r\n");
}

void
router_add_originals(const struct config *c, const struct mail_envelope *e,
                     struct buf *out)
{
    if (c->mode != CONFIG_MODE_REDIRECT)
        return;
    for (size_t i = 0; i < e->rcpt_count && i < ROUTER_ORIGINALS_MAX; i++)
        add_original(e->rcpt[i].address, out);
    if (e->rcpt_count > ROUTER_ORIGINALS_MAX)
        buf_printf(out, "X-Original-To-Others: %zu\r\n",
                   e->rcpt_count - ROUTER_ORIGINALS_MAX);
}

/* What any of them wants to know, the one who gets the message wants to know;
 * who did not say wants the usual. */
static uint8_t
merged_notify(const struct mail_envelope *e)
{
    uint8_t all = 0;

    for (size_t i = 0; i < e->rcpt_count; i++) {
        if (e->rcpt[i].notify == 0)
            return 0;
        all |= e->rcpt[i].notify;
    }
    return all == MAIL_NOTIFY_NEVER ? all : (uint8_t)(all & ~MAIL_NOTIFY_NEVER);
}

void
router_redirect(const struct config *c, struct mail_envelope *e)
{
    const char *at = strrchr(c->redirect_to, '@');
    struct mail_rcpt *rcpt = e->rcpt;

    if (c->mode != CONFIG_MODE_REDIRECT || e->rcpt_count == 0)
        return;
    rcpt->notify = merged_notify(e);
    if (!rcpt->orcpt)
        rcpt->orcpt =
            mem_printf("%s;%s", is_ascii(rcpt->address) ? "rfc822" : "utf-8",
                       rcpt->address);
    free(rcpt->address);
    free(rcpt->domain);
    rcpt->address = mem_text(c->redirect_to);
    rcpt->domain = mem_text(at ? at + 1 : "");
    mail_envelope_cut(e, 1);
}

bool
router_may_mail(const struct config *c, const char *address)
{
    return c->mode != CONFIG_MODE_REDIRECT ||
           strcmp(address, c->redirect_to) == 0;
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

/* What is required of direct deliveries is not required of routes. */
static enum policy_dane_rule
dane_of_routes(const struct config *c)
{
    return c->policy.dane == POLICY_DANE_IGNORED ? POLICY_DANE_IGNORED
                                                 : POLICY_DANE_HEEDED;
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
        .dane = route ? dane_of_routes(c) : rule.dane,
        .may_lose_requiretls =
            (route ? c->policy.requiretls : rule.requiretls) ==
            CONFIG_REQUIRETLS_OPPORTUNISTIC,
        .fingerprints = route ? route->fingerprint : rule.fingerprint,
        .fingerprint_count =
            route ? route->fingerprint_count : rule.fingerprint_count,
        .anchors = route ? route->anchors : rule.anchors,
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
