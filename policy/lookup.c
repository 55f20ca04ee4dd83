#include "policy/lookup.h"

#include "policy/discovery.h"
#include "policy/hosts.h"
#include "policy/tlsa.h"
#include "relay/base/mem.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    /* MX, TXT, cache, two addresses of the policy host, fetch, keep, and of
     * each host two addresses and what POLICY_TLSA_ASKS_MAX says. */
    ASKS_MAX = 7 + (2 + POLICY_TLSA_ASKS_MAX) * POLICY_HOSTS_MAX,
    TTL_MIN_MS = 1000,
    FAILED_TTL_MS = 5000,
    DAY_MS = 24 * 60 * 60 * 1000,
};

/* What an answer is for. */
enum role {
    ROLE_MX,
    ROLE_TXT,
    ROLE_CACHE,
    ROLE_POLICY_HOST,
    ROLE_FETCH,
    ROLE_KEEP,
    ROLE_HOST,
    ROLE_TLSA,
};

struct ask {
    struct policy_ask ask;
    enum role role;
    size_t host; /* ROLE_HOST, ROLE_TLSA */
    char *name;
    bool is_answered;
};

enum sts_step {
    STS_WAITING,   /* for MX, TXT and cache */
    STS_RESOLVING, /* the policy host */
    STS_FETCHING,
    STS_SETTLED,
};

struct policy_lookup {
    bool allow_special, ipv6, dane, half_dane;
    uint64_t shuffle;
    char policy_host[DNS_NAME_MAX + 1];
    struct policy_facts facts;
    bool has_mx; /* facts.mx and the names of the hosts are settled */
    struct policy_hosts_answers answers[POLICY_HOSTS_MAX];
    struct policy_tlsa tlsa[POLICY_HOSTS_MAX];

    enum sts_step step;
    struct policy_discovery discovery;
    struct policy_hosts_answers policy_answers;
    struct policy_host_facts policy_facts; /* the host of the policy */

    /* All that was ever asked, in order; `given` of them were handed out and
     * `open` are still without an answer. */
    struct ask asks[ASKS_MAX];
    size_t count, given, open;
};

static struct policy_ask *
ask(struct policy_lookup *l, enum role role, enum policy_ask_kind kind,
    const char *name)
{
    struct ask *a = &l->asks[l->count];

    assert(l->count < ASKS_MAX);
    *a = (struct ask){.role = role, .name = mem_text(name)};
    a->ask.kind = kind;
    a->ask.number = (unsigned)l->count++;
    a->ask.name = a->name;
    l->open += kind != POLICY_ASK_KEEP;
    return &a->ask;
}

static void
ask_dns(struct policy_lookup *l, enum role role, const char *name,
        enum dns_type type)
{
    ask(l, role, POLICY_ASK_DNS, name)->type = type;
}

static void
ask_addresses(struct policy_lookup *l, enum role role, size_t host,
              const char *name, struct policy_hosts_answers *answers)
{
    answers->v4.asked = true;
    answers->v6.asked = l->ipv6;
    ask_dns(l, role, name, DNS_A);
    l->asks[l->count - 1].host = host;
    if (!l->ipv6)
        return;
    ask_dns(l, role, name, DNS_AAAA);
    l->asks[l->count - 1].host = host;
}

static void
ask_hosts(struct policy_lookup *l)
{
    for (size_t i = 0; i < l->facts.host_count; i++) {
        l->facts.hosts[i].authentic = l->facts.mx_authentic;
        ask_addresses(l, ROLE_HOST, i, l->facts.hosts[i].name, &l->answers[i]);
    }
}

/* "[192.0.2.1]", "[IPv6:2001:db8::1]" (RFC 5321 section 4.1.3) */
static void
use_literal(struct policy_lookup *l, const char *domain)
{
    scoped(own_free) char *text = NULL;
    struct slice inner = slice_of(domain);

    if (inner.len > 1 && inner.p[0] == '[' && inner.p[inner.len - 1] == ']')
        inner = slice_first(slice_from(inner, 1), inner.len - 2);
    if (slice_starts_nocase(inner, "IPv6:"))
        inner = slice_from(inner, strlen("IPv6:"));
    text = mem_copy(inner);
    l->facts.hosts = mem_new(struct policy_host_facts);
    l->facts.host_count = 1;
    policy_hosts_literal(l->facts.hosts, text, l->ipv6, l->allow_special);
}

/* What the operator wrote down needs no proof that it is authentic; the
 * addresses behind a name do. */
static void
use_via(struct policy_lookup *l, const struct policy_question *q)
{
    size_t count =
        q->via_count < POLICY_HOSTS_MAX ? q->via_count : POLICY_HOSTS_MAX;

    l->facts.hosts = mem_array(struct policy_host_facts, count + 1);
    l->facts.host_count = count;
    for (size_t i = 0; i < count; i++) {
        struct policy_host_facts *h = &l->facts.hosts[i];
        struct err err = {0};
        struct addr a;

        h->authentic = true;
        if (q->via_ports)
            l->tlsa[i].port = q->via_ports[i];
        if (addr_parse(slice_of(q->via[i]), &a, &err)) {
            policy_hosts_literal(h, q->via[i], l->ipv6, l->allow_special);
            continue;
        }
        policy_hosts_name(h, q->via[i]);
        ask_addresses(l, ROLE_HOST, i, h->name, &l->answers[i]);
    }
}

static void
find_hosts(struct policy_lookup *l, const struct policy_question *q)
{
    l->facts.mx = POLICY_MX_VIA;
    l->facts.mx_authentic = l->has_mx = true;
    if (q->is_literal) {
        use_literal(l, q->domain);
    } else if (q->via) {
        use_via(l, q);
    } else {
        l->has_mx = l->facts.mx_authentic = false;
        ask_dns(l, ROLE_MX, q->domain, DNS_MX);
    }
}

/* A domain so long that "_mta-sts." does not fit in front can't have one. */
static void
find_policy(struct policy_lookup *l, const struct policy_question *q)
{
    scoped(own_free) char *name = mem_printf("_mta-sts.%s", q->domain);

    l->step = STS_SETTLED;
    l->facts.sts_state = POLICY_STS_STATE_OFF;
    if (!q->sts || q->is_literal)
        return;
    l->facts.sts_state = POLICY_STS_STATE_ABSENT;
    if (strlen(name) > MAIL_DOMAIN_MAX)
        return;
    l->step = STS_WAITING;
    l->discovery.refresh = q->refresh;
    l->discovery.domain = l->facts.domain;
    snprintf(l->policy_host, sizeof(l->policy_host), "%s", name + 1);
    ask_dns(l, ROLE_TXT, name, DNS_TXT);
    ask(l, ROLE_CACHE, POLICY_ASK_CACHE, q->domain);
}

struct policy_lookup *
policy_lookup_new(const struct policy_question *q, int64_t now_ms)
{
    struct policy_lookup *l = mem_new(struct policy_lookup);

    l->allow_special = q->allow_special;
    l->ipv6 = q->ipv6;
    l->shuffle = q->shuffle;
    l->dane = q->dane;
    l->half_dane = q->half_dane;
    for (size_t i = 0; i < POLICY_HOSTS_MAX; i++)
        l->tlsa[i].port = q->port ? q->port : POLICY_PORT;
    l->facts.is_literal = q->is_literal;
    l->facts.good_until_ms = now_ms + DAY_MS;
    snprintf(l->facts.domain.text, sizeof(l->facts.domain.text), "%s",
             q->domain);
    find_hosts(l, q);
    find_policy(l, q);
    return l;
}

void
policy_lookup_free(struct policy_lookup **l)
{
    if (!*l)
        return;
    for (size_t i = 0; i < (*l)->count; i++)
        free((*l)->asks[i].name);
    policy_discovery_done(&(*l)->discovery);
    policy_facts_done(&(*l)->facts);
    free(take(l));
}

bool
policy_lookup_next(struct policy_lookup *l, struct policy_ask *ask)
{
    if (l->given == l->count)
        return false;
    *ask = l->asks[l->given++].ask;
    return true;
}

static void
settle_policy(struct policy_lookup *l, int64_t now_ms)
{
    l->step = STS_SETTLED;
    if (policy_discovery_settle(&l->discovery, now_ms, &l->facts))
        ask(l, ROLE_KEEP, POLICY_ASK_KEEP, l->facts.domain.text)->entry =
            &l->facts.sts_entry;
}

/* To a domain that takes no mail, its policy does not matter (RFC 7505); so
 * nothing is fetched before the MX records are known. */
static void
start_policy(struct policy_lookup *l, int64_t now_ms)
{
    if (l->facts.mx == POLICY_MX_NULL || l->facts.mx == POLICY_MX_NO_DOMAIN) {
        l->step = STS_SETTLED;
        l->facts.sts_state = POLICY_STS_STATE_OFF;
    } else if (policy_discovery_may_fetch(&l->discovery, now_ms)) {
        l->step = STS_RESOLVING;
        ask_addresses(l, ROLE_POLICY_HOST, 0, l->policy_host,
                      &l->policy_answers);
    } else {
        settle_policy(l, now_ms);
    }
}

static void
fetch_policy(struct policy_lookup *l, int64_t now_ms)
{
    struct policy_host_facts *h = &l->policy_facts;
    struct policy_ask *a;

    policy_hosts_settle(&l->policy_answers, h);
    if (h->state == POLICY_HOST_FOUND) {
        l->step = STS_FETCHING;
        a = ask(l, ROLE_FETCH, POLICY_ASK_FETCH, l->policy_host);
        a->addresses = h->addresses;
        a->address_count = h->address_count;
    } else {
        struct err err = {0};

        err_set(&err, ERR_MISSING, "%.110s: %s", l->policy_host, h->why);
        policy_discovery_failed(&l->discovery, &err, now_ms);
        settle_policy(l, now_ms);
    }
}

static void
advance(struct policy_lookup *l, int64_t now_ms)
{
    if (l->step == STS_WAITING && l->has_mx &&
        policy_discovery_is_told(&l->discovery))
        start_policy(l, now_ms);
    if (l->step == STS_RESOLVING &&
        policy_hosts_is_complete(&l->policy_answers))
        fetch_policy(l, now_ms);
}

/* RFC 2308 section 7.1: a failure is remembered for seconds only. */
static void
limit(struct policy_lookup *l, const struct dns_answer *answer, int64_t now_ms)
{
    int64_t ttl_ms = (int64_t)answer->ttl_s * 1000;

    if (ttl_ms < TTL_MIN_MS)
        ttl_ms = TTL_MIN_MS;
    if (answer->outcome == DNS_FAILED)
        ttl_ms = FAILED_TTL_MS;
    if (now_ms + ttl_ms < l->facts.good_until_ms)
        l->facts.good_until_ms = now_ms + ttl_ms;
}

static void
on_mx(struct policy_lookup *l, const struct dns_answer *answer)
{
    l->has_mx = true;
    l->facts.mx_authentic = answer->authentic;
    snprintf(l->facts.mx_canonical, sizeof(l->facts.mx_canonical), "%s",
             answer->canonical);
    l->facts.mx = policy_hosts_choose(answer, l->facts.domain.text, l->shuffle,
                                      &l->facts.hosts, &l->facts.host_count);
    if (l->facts.mx == POLICY_MX_UNKNOWN)
        snprintf(l->facts.mx_why, sizeof(l->facts.mx_why), "%s", answer->why);
    ask_hosts(l);
}

static void
ask_tlsa(struct policy_lookup *l, size_t host)
{
    char name[POLICY_TLSA_NAME_SIZE];
    enum dns_type type;

    if (!policy_tlsa_next(&l->tlsa[host], &l->facts.hosts[host], &type, name))
        return;
    ask_dns(l, ROLE_TLSA, name, type);
    l->asks[l->count - 1].host = host;
}

static void
on_address(struct policy_lookup *l, size_t host,
           const struct dns_answer *answer)
{
    struct policy_hosts_answers *a = &l->answers[host];
    struct policy_host_facts *h = &l->facts.hosts[host];

    policy_hosts_answer(a, answer, l->allow_special);
    if (!policy_hosts_is_complete(a))
        return;
    policy_hosts_settle(a, h);
    if (!l->dane)
        return;
    policy_tlsa_begin(&l->tlsa[host], l->facts.mx_authentic || l->half_dane, h);
    ask_tlsa(l, host);
}

static void
on_tlsa(struct policy_lookup *l, size_t host, const struct dns_answer *answer)
{
    policy_tlsa_answer(&l->tlsa[host], answer, &l->facts.hosts[host]);
    ask_tlsa(l, host);
}

/* An answer to what was not asked, or answered before, is a bug of the
 * driver. */
static struct ask *
settle(struct policy_lookup *l, unsigned number, enum policy_ask_kind kind)
{
    struct ask *a = &l->asks[number];

    assert(number < l->given && a->ask.kind == kind && !a->is_answered);
    a->is_answered = true;
    l->open--;
    return a;
}

void
policy_lookup_answer_dns(struct policy_lookup *l, unsigned number,
                         const struct dns_answer *answer, int64_t now_ms)
{
    struct ask *a = settle(l, number, POLICY_ASK_DNS);

    assert(answer->type == a->ask.type);
    if (a->role != ROLE_POLICY_HOST)
        limit(l, answer, now_ms);
    if (a->role == ROLE_MX)
        on_mx(l, answer);
    else if (a->role == ROLE_TXT)
        policy_discovery_txt(&l->discovery, answer);
    else if (a->role == ROLE_HOST)
        on_address(l, a->host, answer);
    else if (a->role == ROLE_TLSA)
        on_tlsa(l, a->host, answer);
    else
        policy_hosts_answer(&l->policy_answers, answer, l->allow_special);
    advance(l, now_ms);
}

void
policy_lookup_answer_cache(struct policy_lookup *l, unsigned number,
                           const struct policy_sts_entry *entry,
                           const struct err *err, int64_t now_ms)
{
    settle(l, number, POLICY_ASK_CACHE);
    if (err)
        policy_discovery_cache_failed(&l->discovery, err);
    else
        policy_discovery_cache(&l->discovery, entry);
    advance(l, now_ms);
}

void
policy_lookup_answer_fetch(struct policy_lookup *l, unsigned number,
                           struct slice body, const struct err *err,
                           int64_t now_ms)
{
    settle(l, number, POLICY_ASK_FETCH);
    if (err)
        policy_discovery_failed(&l->discovery, err, now_ms);
    else
        policy_discovery_fetched(&l->discovery, body, now_ms);
    settle_policy(l, now_ms);
}

bool
policy_lookup_is_over(const struct policy_lookup *l)
{
    return l->open == 0 && l->given == l->count && l->step == STS_SETTLED;
}

void
policy_lookup_take_facts(struct policy_lookup *l, struct policy_facts *out)
{
    assert(policy_lookup_is_over(l));
    *out = l->facts;
    l->facts = (struct policy_facts){0};
}
