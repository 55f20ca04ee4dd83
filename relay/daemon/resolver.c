#include "relay/daemon/resolver_inside.h"

#include "relay/base/mem.h"
#include "relay/daemon/router.h"

#include <openssl/rand.h>
#include <stdlib.h>

#define REFRESH_PREFIX "refresh "

static void begin(struct resolver_entry *e);

/* --- entries --- */

static void
free_entry(struct resolver_entry *e)
{
    struct resolver *r = e->resolver;

    HASH_DEL(r->by_key, e);
    TAILQ_REMOVE(&r->entries, e, link);
    r->count--;
    policy_facts_done(&e->facts);
    policy_lookup_free(&e->lookup);
    free(e->key);
    free(e);
}

static bool
is_busy(const struct resolver_entry *e)
{
    return e->lookup || e->finishing || e->is_telling || e->store_calls > 0 ||
           !TAILQ_EMPTY(&e->waits);
}

static void
trim(struct resolver *r)
{
    struct resolver_entry *e, *next;

    for (e = TAILQ_FIRST(&r->entries); e && r->count > RESOLVER_CACHE_MAX;
         e = next) {
        next = TAILQ_NEXT(e, link);
        if (!is_busy(e))
            free_entry(e);
    }
}

static void
log_decided(const struct resolver_entry *e)
{
    const struct policy_facts *f = &e->facts;
    bool has_policy = f->sts_state == POLICY_STS_STATE_CACHED ||
                      f->sts_state == POLICY_STS_STATE_FRESH;
    struct config_domain rule =
        config_rule_for(e->resolver->worker->config, e->key, net_clock_wall());
    struct log_line line;

    log_begin(&line, e->resolver->worker->relay->log, LOG_LEVEL_INFO,
              "policy.decided");
    log_text(&line, "destination", e->key);
    log_text(&line, "mx", policy_mx_state_name(f->mx));
    log_text(&line, "mx_reason", *f->mx_why ? f->mx_why : NULL);
    log_int(&line, "hosts", (int64_t)f->host_count);
    log_text(&line, "sts", policy_sts_state_name(f->sts_state));
    log_text(&line, "sts_mode",
             has_policy ? policy_sts_mode_name(f->sts.mode) : NULL);
    log_text(&line, "sts_reason", *f->sts_why ? f->sts_why : NULL);
    log_text(&line, "exempt", rule.is_exemption ? rule.reason : NULL);
    log_end(&line);
}

static void
end_waits(struct resolver_entry *e, const struct policy_facts *facts)
{
    struct resolver_wait *w;

    e->is_telling = true;
    while ((w = TAILQ_FIRST(&e->waits)) != NULL && !w->is_late) {
        TAILQ_REMOVE(&e->waits, w, link);
        *w->slot = NULL;
        w->done(w->ctx, facts);
        free(w);
    }
    e->is_telling = false;
    TAILQ_FOREACH(w, &e->waits, link)
    w->is_late = false;
}

static bool
is_refresh(const struct resolver_entry *e)
{
    return strncmp(e->key, REFRESH_PREFIX, strlen(REFRESH_PREFIX)) == 0;
}

static void
finish(struct task *task)
{
    struct resolver_entry *e =
        own_container(task, struct resolver_entry, finish);

    e->finishing = false;
    policy_facts_done(&e->facts);
    policy_lookup_take_facts(e->lookup, &e->facts);
    policy_lookup_free(&e->lookup);
    if (e->is_stale && !TAILQ_EMPTY(&e->waits)) {
        begin(e);
        return;
    }
    if (e->until_ms < e->facts.good_until_ms)
        e->facts.good_until_ms = e->until_ms;
    e->has_facts = !e->is_stale;
    log_decided(e);
    end_waits(e, &e->facts);
    /* Who was told may have had it forgotten, or asked again. */
    if ((e->is_stale || is_refresh(e)) && !is_busy(e))
        free_entry(e);
}

void
resolver_pump(struct resolver_entry *e)
{
    struct policy_ask ask;

    while (policy_lookup_next(e->lookup, &ask))
        resolver_ask(e, &ask);
    if (policy_lookup_is_over(e->lookup) && !e->finishing) {
        e->finishing = true;
        e->finish.run = finish;
        task_post(&e->resolver->worker->inbox, &e->finish);
    }
}

/* --- what to ask --- */

/* RFC 8461 section 3.4: the policy domain is that of the smart host.  Of one
 * that the operator named himself and has verified it could demand no more;
 * and a list of hosts is of no one domain. */
static bool
may_have_policy(const struct config *c, const struct config_route *route)
{
    const struct config_via *via = &route->via[0];
    bool is_proven = route->level == POLICY_LEVEL_VERIFIED && !via->is_mx;

    return route->level != POLICY_LEVEL_NONE && route->via_count == 1 &&
           !via->is_address && !is_proven &&
           config_rule_for(c, via->host, net_clock_wall()).sts;
}

static void
question_for_route(const struct config *c, const struct config_route *route,
                   const char **hosts, unsigned *ports,
                   struct policy_question *q)
{
    q->domain = route->via[0].host;
    q->port = route->via[0].port;
    q->sts = may_have_policy(c, route);
    q->dane &= route->level != POLICY_LEVEL_NONE;
    q->allow_special = true; /* the operator named these hosts */
    if (route->via_count == 1 && route->via[0].is_mx)
        return;
    q->via = hosts;
    q->via_ports = ports;
    for (size_t i = 0; i < route->via_count && i < POLICY_HOSTS_MAX; i++) {
        ports[i] = route->via[i].port;
        hosts[q->via_count++] = route->via[i].host;
    }
}

static void
begin(struct resolver_entry *e)
{
    const struct config *c = e->resolver->worker->config;
    bool refresh = is_refresh(e);
    const char *domain = refresh ? e->key + strlen(REFRESH_PREFIX) : e->key;
    struct config_domain rule = config_rule_for(c, domain, net_clock_wall());
    const char *hosts[POLICY_HOSTS_MAX];
    unsigned ports[POLICY_HOSTS_MAX];
    bool gone;
    const struct config_route *route = router_route(c, domain, &gone);
    struct policy_question q = {
        .domain = domain,
        .is_literal = domain[0] == '[',
        .sts = rule.sts || refresh,
        .dane = rule.dane != POLICY_DANE_IGNORED &&
                e->resolver->worker->dnssec != DNSSEC_OFF,
        .half_dane = rule.half_dane == CONFIG_HALF_DANE_HEEDED,
        .port = c->delivery.port,
        .refresh = refresh,
        .allow_special = c->delivery.allow_private,
        .ipv6 = c->delivery.ipv6,
    };

    e->is_stale = false;
    e->until_ms = rule.is_exemption
                      ? net_clock_steady() + rule.until_ms - net_clock_wall()
                      : INT64_MAX;
    if (RAND_bytes((unsigned char *)&q.shuffle, sizeof(q.shuffle)) != 1)
        q.shuffle = (uint64_t)net_clock_steady();
    if (route)
        question_for_route(c, route, hosts, ports, &q);
    e->lookup = policy_lookup_new(&q, net_clock_steady());
    resolver_pump(e);
}

static struct resolver_entry *
find(struct resolver *r, const char *key)
{
    struct resolver_entry *e;

    HASH_FIND_STR(r->by_key, key, e);
    return e;
}

static struct resolver_entry *
get(struct resolver *r, const char *key)
{
    struct resolver_entry *e = find(r, key);

    if (!e) {
        e = mem_new(struct resolver_entry);
        e->resolver = r;
        e->key = mem_text(key);
        TAILQ_INIT(&e->queries);
        TAILQ_INIT(&e->waits);
        HASH_ADD_KEYPTR(hh, r->by_key, e->key, strlen(e->key), e);
        TAILQ_INSERT_TAIL(&r->entries, e, link);
        r->count++;
    }
    return e;
}

const struct policy_facts *
resolver_find(struct resolver *r, const char *destination)
{
    struct resolver_entry *e = find(r, destination);

    if (!e || !e->has_facts || e->lookup ||
        net_clock_steady() >= e->facts.good_until_ms)
        return NULL;
    TAILQ_REMOVE(&r->entries, e, link);
    TAILQ_INSERT_TAIL(&r->entries, e, link);
    return &e->facts;
}

struct end_task {
    struct task task;
    struct resolver_entry *entry;
};

static void
end_now(struct task *task)
{
    struct end_task *x = own_container(task, struct end_task, task);

    end_waits(x->entry, NULL);
    free(x);
}

/* As promised: not from inside the start. */
static void
end_later(struct resolver_entry *e)
{
    struct end_task *x = mem_new(struct end_task);

    x->task.run = end_now;
    x->entry = e;
    e->store_calls++; /* holds the entry, for good: we are stopping */
    task_post(&e->resolver->worker->inbox, &x->task);
}

void
resolver_start(struct resolver_wait **slot, struct resolver *r,
               const char *destination, resolver_fn *done, void *ctx)
{
    struct resolver_entry *e = get(r, destination);
    struct resolver_wait *w = mem_new(struct resolver_wait);

    w->slot = slot;
    w->entry = e;
    w->done = done;
    w->ctx = ctx;
    w->is_late = e->is_telling;
    *slot = w;
    TAILQ_INSERT_TAIL(&e->waits, w, link);
    if (r->is_cut)
        end_later(e);
    else if (!e->lookup && r->has_begun)
        begin(e);
    trim(r);
}

void
resolver_begin(struct resolver *r)
{
    struct resolver_entry *e;

    r->has_begun = true;
    TAILQ_FOREACH(e, &r->entries, link)
    if (!e->lookup && !TAILQ_EMPTY(&e->waits) && !r->is_cut)
        begin(e);
}

void
resolver_refresh(struct resolver_wait **slot, struct resolver *r,
                 const char *domain, resolver_fn *done, void *ctx)
{
    char *key scoped(own_free) = mem_printf(REFRESH_PREFIX "%s", domain);

    resolver_forget(r, domain);
    resolver_start(slot, r, key, done, ctx);
}

void
resolver_cancel(struct resolver_wait **slot)
{
    struct resolver_wait *w = take(slot);

    if (!w)
        return;
    TAILQ_REMOVE(&w->entry->waits, w, link);
    free(w);
}

static void
forget_policy(struct net_dns *dns, const char *domain)
{
    char *record scoped(own_free) = mem_printf("_mta-sts.%s", domain);

    net_dns_forget(dns, record);
    net_dns_forget(dns, record + 1); /* the host that has the policy */
}

void
resolver_forget(struct resolver *r, const char *destination)
{
    struct resolver_entry *e, *next;

    net_dns_forget(r->worker->dns, destination);
    if (destination)
        forget_policy(r->worker->dns, destination);
    for (e = TAILQ_FIRST(&r->entries); e; e = next) {
        next = TAILQ_NEXT(e, link);
        if (destination && strcmp(e->key, destination) != 0)
            continue;
        e->has_facts = false;
        e->is_stale = true;
        if (!is_busy(e))
            free_entry(e);
    }
}

struct resolver *
resolver_new(struct worker *w)
{
    struct resolver *r = mem_new(struct resolver);

    r->worker = w;
    TAILQ_INIT(&r->entries);
    TAILQ_INIT(&r->fetches_waiting);
    return r;
}

void
resolver_cut(struct resolver *r)
{
    struct resolver_entry *e;

    r->is_cut = true;
    resolver_stop_queries(&r->fetches_waiting);
    TAILQ_FOREACH(e, &r->entries, link)
    {
        resolver_stop_queries(&e->queries);
        end_waits(e, NULL);
    }
}

/* The worker's inbox is empty and the store thread is idle by then: no store
 * call and no finish is under way. */
void
resolver_free(struct resolver **place)
{
    struct resolver *r = take(place);
    struct resolver_entry *e;

    if (!r)
        return;
    resolver_stop_queries(&r->fetches_waiting);
    while ((e = TAILQ_FIRST(&r->entries)) != NULL) {
        end_waits(e, NULL);
        resolver_stop_queries(&e->queries);
        free_entry(e);
    }
    free(r);
}
