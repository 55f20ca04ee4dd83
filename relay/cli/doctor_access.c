/* doctor: may strangers relay? */
#include "policy/access.h"
#include "relay/cli/doctor.h"
#include "relay/guard/gateway.h"

#include <string.h>

enum {
    WIDE_V4 = 16, /* fewer bits of public addresses are not one's own network */
    WIDE_V6 = 32,
};

static bool
is_wide(const struct addr_net *n)
{
    bool is_v4 = n->base.any.sa_family == AF_INET;

    if (n->bits == 0)
        return true;
    return !addr_is_special(&n->base) && n->bits < (is_v4 ? WIDE_V4 : WIDE_V6);
}

static bool
may_relay(const struct cli_doctor *d, const struct config_listener *l,
          const struct addr *peer)
{
    const struct policy_access_rules rules = {
        .networks = d->c->access.networks.net,
        .network_count = d->c->access.networks.count,
    };
    const struct policy_access_client client = {.peer = peer, .auth = l->auth};
    struct mail_address from, to;
    struct mail_status why;
    struct err err;

    return mail_address_parse(slice_of("a@sender.example"), false, &from,
                              &err) &&
           mail_address_parse(slice_of("b@rcpt.example"), false, &to, &err) &&
           policy_access(&rules, &client, &from, &to, &why);
}

static bool
may_connect(const struct config_listener *l, const struct addr *peer)
{
    for (size_t i = 0; i < l->networks.count; i++)
        if (addr_is_in(peer, &l->networks.net[i]))
            return true;
    return l->networks.count == 0;
}

static bool
is_public(const struct config_listener *l)
{
    struct addr a;
    struct err err;

    return strncmp(l->address, "unix:", 5) != 0 &&
           (!addr_parse_port(slice_of(l->address), 0, &a, &err) ||
            !addr_is_loopback(&a));
}

/* Whoever comes from a wide network is a stranger; so is this one. */
static bool
is_open(const struct cli_doctor *d, const struct config_listener *l)
{
    const struct config_networks *n = &d->c->access.networks;
    struct addr stranger;
    struct err err;

    if (addr_parse(slice_of("198.51.100.1"), &stranger, &err) &&
        may_connect(l, &stranger) && may_relay(d, l, &stranger))
        return true;
    for (size_t i = 0; i < n->count; i++)
        if (is_wide(&n->net[i]) && may_connect(l, &n->net[i].base) &&
            may_relay(d, l, &n->net[i].base))
            return true;
    return false;
}

static void
tell_gateway(void *ctx, const struct addr_net *net, const struct gateway *g)
{
    char base[ADDR_TEXT_SIZE], text[ADDR_TEXT_SIZE];

    cli_doctor_tell(
        ctx, "gateway", CLI_DOCTOR_WARNING,
        "access.networks has %s/%u, and with it %s (%s): a stranger who "
        "comes through NAT looks like that, and may relay",
        addr_text(&net->base, base), net->bits, addr_text(&g->addr, text),
        g->interface);
}

void
cli_doctor_look_at_access(struct cli_doctor *d)
{
    bool any = false;

    for (size_t i = 0; i < d->c->listener_count; i++) {
        const struct config_listener *l = &d->c->listener[i];

        if (!is_public(l) || !is_open(d, l))
            continue;
        any = true;
        cli_doctor_tell(
            d, "open relay", CLI_DOCTOR_FAILURE,
            "listener \"%s\" (%s) relays for strangers: name your own "
            "networks in access.networks, or ask for AUTH",
            l->name, l->address);
    }
    if (!any)
        cli_doctor_tell(d, "open relay", CLI_DOCTOR_OK,
                        "no listener relays for strangers");
    gateway_each(d->c, tell_gateway, d);
}
