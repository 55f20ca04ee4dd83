#include "relay/daemon/candidate.h"

#include "relay/base/buf.h"

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

/* Hosts of one route may have ports of their own, and one host several: which
 * of them it is tells its place, in the route as among the facts. */
static void
route_port(struct candidate *c, const struct config_route *route)
{
    size_t place = route && !route->via[0].is_mx ? c->host->index : 0;

    if (route && place < route->via_count) {
        addr_set_port(&c->address, route->via[place].port);
        c->implicit_tls = route->via[place].implicit_tls;
    }
    if (c->implicit_tls && c->proof < POLICY_PROOF_ENCRYPT)
        c->proof = POLICY_PROOF_ENCRYPT;
}

/* The first of the same family. */
static void
source(struct candidate *x, const struct config *c,
       const struct config_route *route)
{
    bool is_own = route && route->bind_count > 0;
    const struct addr *list = is_own ? route->bind : c->delivery.bind;
    size_t count = is_own ? route->bind_count : c->delivery.bind_count;

    for (size_t i = 0; i < count; i++)
        if (list[i].any.sa_family == x->address.any.sa_family) {
            x->source = list[i];
            return;
        }
}

/* How many addresses of a host are tried, when so many are chosen: places are
 * left for the hosts behind it, but two addresses it has in any case, as there
 * are two families. */
static size_t
allowance(const struct policy_plan *plan, size_t host, size_t chosen)
{
    size_t room = POLICY_ADDRESSES_MAX - chosen;
    size_t behind = plan->host_count - host - 1;
    size_t n = room > behind + 2 ? room - behind : 2;

    if (n > room)
        n = room;
    return n < plan->hosts[host].address_count
               ? n
               : plan->hosts[host].address_count;
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
        for (size_t i = 0, n = allowance(plan, h, count); i < n; i++) {
            struct candidate x = {
                .host = host,
                .address = host->addresses[i],
                .implicit_tls = host->implicit_tls,
                .proof = host->proof,
            };

            route_port(&x, route);
            source(&x, c, route);
            if (is_our_listener(&x.address, c))
                *loops = true;
            else
                out[count++] = x;
        }
    }
    return count;
}

void
candidate_sort(struct candidate *list, size_t count, struct outage *o,
               int64_t now_ms)
{
    struct candidate behind[POLICY_ADDRESSES_MAX];
    size_t good = 0, out = 0;

    for (size_t i = 0; i < count; i++) {
        if (outage_is_out(o, &list[i].address, now_ms))
            behind[out++] = list[i];
        else
            list[good++] = list[i];
    }
    memcpy(&list[good], behind, out * sizeof(behind[0]));
}

char *
candidate_key(const struct candidate *c, bool in_clear)
{
    char address[ADDR_TEXT_SIZE], from[ADDR_TEXT_SIZE];
    struct buf key = {0};

    if (c->source.any.sa_family != AF_UNSPEC)
        buf_printf(&key, "%s > ", addr_text(&c->source, from));
    buf_printf(&key, "%s%s%s ", addr_text_port(&c->address, address),
               in_clear ? " clear" : "",
               c->proof != c->host->proof ? " tls" : "");
    policy_plan_host_key(c->host, &key);
    (void)buf_text(&key);
    return key.p;
}

const char *
candidate_demand(const struct candidate *c)
{
    if (c->host->fingerprint_count > 0)
        return "a pinned certificate";
    switch (c->proof) {
    case POLICY_PROOF_CLEAR:
    case POLICY_PROOF_NONE:
        return "nothing";
    case POLICY_PROOF_ENCRYPT:
        return "TLS";
    case POLICY_PROOF_PKIX:
        return c->host->anchors && c->host->anchors[0]
                   ? "a certificate for this name by its own trust anchors"
                   : "a valid certificate for this name";
    case POLICY_PROOF_DANE:
        break;
    }
    return "a certificate that matches its TLSA records";
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
        return c->host->is_half_dane ? "dane insecure-mx" : "dane";
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
check_for(const struct candidate *c)
{
    switch (c->proof) {
    case POLICY_PROOF_CLEAR:
    case POLICY_PROOF_NONE:
    case POLICY_PROOF_ENCRYPT:
        if (c->host->shadow_proof == POLICY_PROOF_DANE)
            return NET_TLS_CHECK_OBSERVE_DANE;
        break;
    case POLICY_PROOF_PKIX:
        return NET_TLS_CHECK_PKIX;
    case POLICY_PROOF_DANE:
        return NET_TLS_CHECK_DANE;
    }
    /* Observed in any case: trace shows what the certificate was worth. */
    return NET_TLS_CHECK_OBSERVE;
}

static void
pin(const struct policy_host *host, struct candidate_pins *pins,
    struct net_tls_setup *setup)
{
    setup->tlsa = pins->tlsa;
    for (size_t i = 0; i < host->tlsa.count; i++) {
        const struct policy_dane_record *r = &host->tlsa.records[i];

        pins->tlsa[setup->tlsa_count++] = (struct net_tls_tlsa){
            r->usage, r->selector, r->matching, r->data, r->len};
    }
    setup->fingerprints = pins->fingerprints;
    for (size_t i = 0;
         i < host->fingerprint_count && i < NET_TLS_FINGERPRINTS_MAX; i++) {
        struct net_tls_fingerprint *f =
            &pins->fingerprints[setup->fingerprint_count++];

        f->of_key = host->fingerprints[i].of == POLICY_FINGERPRINT_KEY;
        memcpy(f->sha256, host->fingerprints[i].sha256, sizeof(f->sha256));
    }
}

struct net_tls_setup
candidate_tls(const struct candidate *c, struct net_tls *tls, const char *key,
              struct candidate_pins *pins)
{
    const struct policy_dane_names *names = &c->host->names;
    const char *first = names->count ? names->text[0] : c->host->name;
    struct net_tls_setup setup = {
        .tls = tls,
        .check = check_for(c),
        .dane_base = c->host->dane_base,
        .pkix_name = c->host->name,
        .session_key = key,
    };
    struct addr ignored;
    struct err err;

    if (!addr_parse(slice_of(first), &ignored, &err))
        setup.sni = first;
    setup.names[0] = first;
    for (size_t i = 1; i < names->count && i < NET_TLS_NAMES_MAX; i++)
        setup.names[i] = names->text[i];
    pin(c->host, pins, &setup);
    return setup;
}
