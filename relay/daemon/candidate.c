#include "relay/daemon/candidate.h"

#include "relay/base/mem.h"

#include <strings.h>

static bool
is_our_listener(const struct addr *a, const struct config *c)
{
    for (size_t i = 0; i < c->listener_count; i++) {
        struct addr l;
        struct err err;

        if (!addr_parse_port(slice_of(c->listener[i].address), 0, &l, &err) ||
            addr_port(&l) != addr_port(a))
            continue;
        if (addr_is_same_host(&l, a))
            return true;
    }
    return false;
}

/* How many hosts before this one have its name: a route may name one host
 * several times, with different ports. */
static size_t
namesakes(const struct policy_plan *plan, size_t host)
{
    size_t count = 0;

    for (size_t i = 0; i < host; i++)
        count += strcasecmp(plan->hosts[i].name, plan->hosts[host].name) == 0;
    return count;
}

/* Hosts of one route may have ports of their own. */
static void
route_port(struct candidate *c, const struct config_route *route, size_t skip)
{
    for (size_t i = 0; route && i < route->via_count; i++) {
        const struct config_via *via = &route->via[i];

        if (!via->is_mx && strcasecmp(via->host, c->host->name) != 0)
            continue;
        addr_set_port(&c->address, via->port);
        c->implicit_tls = via->implicit_tls;
        if (via->is_mx || skip-- == 0)
            break;
    }
    if (c->implicit_tls && c->proof < POLICY_PROOF_ENCRYPT)
        c->proof = POLICY_PROOF_ENCRYPT;
}

size_t
candidate_list(const struct policy_plan *plan, const struct config *c,
               const struct config_route *route,
               struct candidate out[POLICY_ADDRESSES_MAX], bool *loops)
{
    size_t count = 0;

    *loops = false;
    for (size_t h = 0; h < plan->host_count; h++) {
        const struct policy_host *host = &plan->hosts[h];

        if (!route && strcasecmp(host->name, c->hostname) == 0) {
            *loops = true;
            break;
        }
        for (size_t i = 0; i < host->address_count; i++) {
            struct candidate x = {
                .host = host,
                .address = host->addresses[i],
                .implicit_tls = host->implicit_tls,
                .proof = host->proof,
            };

            route_port(&x, route, namesakes(plan, h));
            if (is_our_listener(&x.address, c))
                *loops = true;
            else if (count < POLICY_ADDRESSES_MAX)
                out[count++] = x;
        }
    }
    return count;
}

char *
candidate_key(const struct candidate *c, bool in_clear)
{
    char address[ADDR_TEXT_SIZE];

    return mem_printf("%s %s%s%s %s", addr_text_port(&c->address, address),
                      policy_proof_name(c->proof),
                      c->host->observe ? " observed" : "",
                      in_clear ? " clear" : "", c->host->name);
}

const char *
candidate_policy(const struct candidate *c)
{
    if (c->host->observe)
        return "mta-sts testing";
    switch (c->host->source) {
    case POLICY_SOURCE_STS:
        return "mta-sts enforce";
    case POLICY_SOURCE_DANE:
        return "dane";
    case POLICY_SOURCE_REQUIRETLS:
        return "requiretls";
    case POLICY_SOURCE_LOCAL:
        return "local";
    case POLICY_SOURCE_DEFAULT:
        break;
    }
    return "opportunistic";
}

static enum net_tls_check
check_for(enum policy_proof proof)
{
    switch (proof) {
    case POLICY_PROOF_CLEAR:
    case POLICY_PROOF_NONE:
    case POLICY_PROOF_ENCRYPT:
        break;
    case POLICY_PROOF_PKIX:
        return NET_TLS_CHECK_PKIX;
    case POLICY_PROOF_DANE:
        return NET_TLS_CHECK_DANE;
    }
    /* Observed in any case: trace shows what the certificate was worth. */
    return NET_TLS_CHECK_OBSERVE;
}

struct net_tls_setup
candidate_tls(const struct candidate *c, struct net_tls *tls, const char *key)
{
    struct addr ignored;
    struct err err;
    bool is_address = addr_parse(slice_of(c->host->name), &ignored, &err);

    return (struct net_tls_setup){
        .tls = tls,
        .sni = is_address ? NULL : c->host->name,
        .check = check_for(c->proof),
        .names = {c->host->name},
        .session_key = key,
    };
}
