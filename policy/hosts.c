#include "policy/hosts.h"

#include "relay/base/mem.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

/* A candidate: `order` is drawn from the seed and the name, so that neither
 * the order of the answer nor of earlier answers has a say. */
struct candidate {
    const char *host;
    uint16_t preference;
    uint64_t order;
};

/* FNV-1a over the name, then the finaliser of splitmix64: the low bits of
 * either alone are too regular to pick an order by. */
static uint64_t
draw(uint64_t seed, const char *name)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325) ^ seed;

    for (; *name; name++)
        h = (h ^ (unsigned char)*name) * UINT64_C(0x100000001b3);
    h = (h ^ (h >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    h = (h ^ (h >> 27)) * UINT64_C(0x94d049bb133111eb);
    return h ^ (h >> 31);
}

static int
compare(const void *left, const void *right)
{
    const struct candidate *a = left, *b = right;

    if (a->preference != b->preference)
        return a->preference < b->preference ? -1 : 1;
    if (a->order != b->order)
        return a->order < b->order ? -1 : 1;
    return strcasecmp(a->host, b->host);
}

static bool
is_among(const struct policy_host_facts *hosts, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcasecmp(hosts[i].name, name) == 0)
            return true;
    }
    return false;
}

void
policy_hosts_name(struct policy_host_facts *h, const char *name)
{
    snprintf(h->name, sizeof(h->name), "%s", name);
}

/* The candidates are in order: a later one of the same name is the worse. */
static size_t
fill(struct policy_host_facts *hosts, const struct candidate *from, size_t n)
{
    size_t count = 0;

    for (size_t i = 0; i < n && count < POLICY_HOSTS_MAX; i++) {
        if (is_among(hosts, count, from[i].host))
            continue;
        policy_hosts_name(&hosts[count], from[i].host);
        hosts[count++].preference = from[i].preference;
    }
    return count;
}

/* RFC 7505 section 3: the root alone says that the domain takes no mail;
 * beside other records it is a mistake and is passed over. */
static enum policy_mx_state
choose_found(const struct dns_answer *mx, uint64_t shuffle,
             struct policy_host_facts **hosts, size_t *count)
{
    scoped(own_free) struct candidate *all =
        mem_array(struct candidate, mx->count + 1);
    size_t n = 0;

    for (size_t i = 0; i < mx->count; i++) {
        const char *host = mx->records[i].mx.host;

        if (host[0])
            all[n++] = (struct candidate){
                .host = host,
                .preference = mx->records[i].mx.preference,
                .order = draw(shuffle, host),
            };
    }
    if (n == 0)
        return mx->count > 0 ? POLICY_MX_NULL : POLICY_MX_FOUND;
    qsort(all, n, sizeof(*all), compare);
    *hosts = mem_array(struct policy_host_facts, POLICY_HOSTS_MAX);
    *count = fill(*hosts, all, n);
    return POLICY_MX_FOUND;
}

enum policy_mx_state
policy_hosts_choose(const struct dns_answer *mx, const char *domain,
                    uint64_t shuffle, struct policy_host_facts **hosts,
                    size_t *count)
{
    *hosts = NULL;
    *count = 0;
    switch (mx->outcome) {
    case DNS_FOUND:
        return choose_found(mx, shuffle, hosts, count);
    case DNS_NODATA:
        /* RFC 5321 section 5.1: the implicit MX */
        *hosts = mem_new(struct policy_host_facts);
        *count = 1;
        policy_hosts_name(*hosts, domain);
        return POLICY_MX_IMPLICIT;
    case DNS_NXDOMAIN:
        return POLICY_MX_NO_DOMAIN;
    case DNS_FAILED:
        break;
    }
    return POLICY_MX_UNKNOWN;
}

static void
keep_address(struct policy_hosts_family *f, const struct addr *a,
             bool allow_special)
{
    if (!allow_special && addr_is_special(a)) {
        addr_text(a, f->special);
        return;
    }
    for (size_t i = 0; i < f->count; i++) {
        if (addr_is_same_host(&f->addresses[i], a))
            return;
    }
    if (f->count < POLICY_ADDRESSES_MAX)
        f->addresses[f->count++] = *a;
}

void
policy_hosts_answer(struct policy_hosts_answers *a,
                    const struct dns_answer *answer, bool allow_special)
{
    bool is_v6 = answer->type == DNS_AAAA;
    struct policy_hosts_family *f = is_v6 ? &a->v6 : &a->v4;

    assert(f->asked && !f->answered);
    f->answered = true;
    f->failed = answer->outcome == DNS_FAILED;
    f->exists = answer->outcome != DNS_NXDOMAIN;
    f->authentic = answer->authentic;
    snprintf(f->canonical, sizeof(f->canonical), "%s", answer->canonical);
    if (f->failed)
        snprintf(f->why, sizeof(f->why), "%s", answer->why);
    for (size_t i = 0; i < answer->count; i++) {
        struct addr found = is_v6 ? addr_from_v6(answer->records[i].aaaa, 0)
                                  : addr_from_v4(answer->records[i].a, 0);

        keep_address(f, &found, allow_special);
    }
}

bool
policy_hosts_is_complete(const struct policy_hosts_answers *a)
{
    return a->v4.asked == a->v4.answered && a->v6.asked == a->v6.answered;
}

/* The families take turns, so that one that is broken on the way costs one
 * attempt before the other gets its chance. */
static void
interleave(const struct policy_hosts_answers *a, struct policy_host_facts *h)
{
    for (size_t i = 0; i < POLICY_ADDRESSES_MAX; i++) {
        if (i < a->v6.count && h->address_count < POLICY_ADDRESSES_MAX)
            h->addresses[h->address_count++] = a->v6.addresses[i];
        if (i < a->v4.count && h->address_count < POLICY_ADDRESSES_MAX)
            h->addresses[h->address_count++] = a->v4.addresses[i];
    }
}

/* Both families have the CNAMEs of the one name, unless these changed between
 * the answers; and a name is no less authentic for a family that could not be
 * learnt, or whoever can make one fail could take the TLSA records away. */
static void
keep_canonical(const struct policy_hosts_answers *a,
               struct policy_host_facts *h)
{
    const struct policy_hosts_family *f = &a->v4;

    if (f->count == 0 || (!f->authentic && a->v6.count > 0))
        f = &a->v6;
    h->address_authentic = f->authentic;
    snprintf(h->canonical, sizeof(h->canonical), "%s",
             f->canonical[0] ? f->canonical : h->name);
}

static void
forbid(struct policy_host_facts *h, const char *special)
{
    h->state = POLICY_HOST_NONE;
    snprintf(h->why, sizeof(h->why), "%s is not a public address", special);
}

void
policy_hosts_settle(const struct policy_hosts_answers *a,
                    struct policy_host_facts *h)
{
    const struct policy_hosts_family *failed = a->v4.failed ? &a->v4 : &a->v6;
    const char *special = a->v4.special[0] ? a->v4.special : a->v6.special;

    if ((a->v4.asked && !a->v4.authentic) || (a->v6.asked && !a->v6.authentic))
        h->authentic = false;
    interleave(a, h);
    if (h->address_count > 0) {
        h->state = POLICY_HOST_FOUND;
        keep_canonical(a, h);
    } else if (failed->failed) {
        h->state = POLICY_HOST_UNKNOWN;
        snprintf(h->why, sizeof(h->why), "%s lookup: %.100s",
                 failed == &a->v4 ? "A" : "AAAA", failed->why);
    } else if (special[0]) {
        forbid(h, special);
    } else {
        h->state = POLICY_HOST_NONE;
        snprintf(h->why, sizeof(h->why), "%s",
                 a->v4.exists ? "no address" : "the name does not exist");
    }
}

void
policy_hosts_literal(struct policy_host_facts *h, const char *text, bool ipv6,
                     bool allow_special)
{
    struct err err = {0};
    struct addr a;

    policy_hosts_name(h, text);
    h->state = POLICY_HOST_NONE;
    if (!addr_parse(slice_of(text), &a, &err)) {
        snprintf(h->why, sizeof(h->why), "no IP address");
    } else if (!allow_special && addr_is_special(&a)) {
        char special[ADDR_TEXT_SIZE];

        forbid(h, addr_text(&a, special));
    } else if (a.any.sa_family == AF_INET6 && !ipv6) {
        snprintf(h->why, sizeof(h->why), "IPv6 is switched off");
    } else {
        h->state = POLICY_HOST_FOUND;
        h->addresses[h->address_count++] = a;
    }
}
