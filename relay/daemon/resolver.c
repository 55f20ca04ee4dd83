#include "relay/daemon/resolver.h"

#include "relay/base/map.h"
#include "relay/base/mem.h"
#include "relay/daemon/refresher.h"
#include "relay/daemon/router.h"
#include "relay/daemon/sts_shelf.h"
#include "relay/net/https.h"

#include <openssl/rand.h>
#include <stdlib.h>
#include <sys/queue.h>

#define REFRESH_PREFIX "refresh "

/* One thing that the look-up asked for and that is under way. */
struct query {
    TAILQ_ENTRY(query) link;
    struct entry *entry;
    unsigned number;
    struct net_dns_query *dns;
    struct net_https *https;
    char *host;             /* FETCH */
    struct addr *addresses; /* FETCH */
    size_t address_count;
};

TAILQ_HEAD(query_list, query);
TAILQ_HEAD(wait_list, resolver_wait);
TAILQ_HEAD(entry_list, entry);

/* One destination: a look-up under way, or its facts. */
struct entry {
    struct resolver *resolver;
    char *key;
    UT_hash_handle hh;
    TAILQ_ENTRY(entry) link;      /* of resolver->entries, least used first */
    struct policy_lookup *lookup; /* NULL: facts are there, or none */
    struct query_list queries;
    unsigned store_calls; /* under way; they hold the entry */
    struct wait_list waits;
    struct policy_facts facts;
    bool has_facts;
    bool is_stale; /* to be forgotten: what the look-up under way finds, too */
    struct task finish; /* under way while `finishing` */
    bool finishing;
};

struct resolver_wait {
    struct resolver_wait **slot;
    struct entry *entry;
    resolver_fn *done;
    void *ctx;
    TAILQ_ENTRY(resolver_wait) link;
};

struct resolver {
    struct worker *worker;
    struct entry *by_key; /* uthash */
    struct entry_list entries;
    size_t count;
    bool has_begun, is_cut;
    unsigned fetches;
    struct query_list fetches_waiting;
};

struct cache_call {
    struct store_call call;
    struct entry *entry;
    unsigned number;
    char *domain;
    struct buf text; /* read, or to be written */
    int64_t due_ms;
};

static void pump(struct entry *e);
static void begin(struct entry *e);

/* --- the policy cache in the store --- */

static void
free_cache_call(struct cache_call *x)
{
    buf_free(&x->text);
    free(x->domain);
    free(x);
}

static bool
work_read(struct store_call *call, struct queue_store *store, struct err *err)
{
    struct cache_call *x = own_container(call, struct cache_call, call);

    buf_clear(&x->text);
    return queue_store_shelf_get(store, STS_SHELF, x->domain, &x->text, err);
}

static void
read_done(struct task *task)
{
    struct cache_call *x = own_container(task, struct cache_call, call.task);
    struct entry *e = x->entry;
    struct policy_sts_entry found = {0};
    struct err err;
    bool ok = !x->call.failed &&
              sts_shelf_parse(x->domain, buf_slice(&x->text), &found, &err);

    e->store_calls--;
    if (!e->resolver->is_cut) {
        policy_lookup_answer_cache(e->lookup, x->number, ok ? &found : NULL,
                                   net_clock_steady());
        pump(e);
    }
    policy_sts_entry_done(&found);
    free_cache_call(x);
}

static bool
work_write(struct store_call *call, struct queue_store *store, struct err *err)
{
    struct cache_call *x = own_container(call, struct cache_call, call);

    return queue_store_shelf_put(store, STS_SHELF, x->domain,
                                 buf_slice(&x->text), x->due_ms, err);
}

static void
write_done(struct task *task)
{
    free_cache_call(own_container(task, struct cache_call, call.task));
}

static void
ask_cache(struct entry *e, const struct policy_ask *ask)
{
    struct cache_call *x = mem_new(struct cache_call);

    x->call.work = work_read;
    x->call.task.run = read_done;
    x->call.home = &e->resolver->worker->inbox;
    x->entry = e;
    x->number = ask->number;
    x->domain = mem_text(ask->name);
    e->store_calls++;
    store_thread_post(e->resolver->worker->relay->store, &x->call);
}

static void
keep(struct entry *e, const struct policy_sts_entry *entry)
{
    struct cache_call *x = mem_new(struct cache_call);

    x->call.work = work_write;
    x->call.task.run = write_done;
    x->domain = mem_text(entry->domain.text);
    x->due_ms = refresher_due_ms(entry);
    sts_shelf_format(entry, &x->text);
    store_thread_post(e->resolver->worker->relay->store, &x->call);
}

/* --- DNS and HTTPS --- */

static void
drop_query(struct query *q)
{
    TAILQ_REMOVE(&q->entry->queries, q, link);
    free(q->host);
    free(q->addresses);
    free(q);
}

static struct query *
new_query(struct entry *e, const struct policy_ask *ask)
{
    struct query *q = mem_new(struct query);

    q->entry = e;
    q->number = ask->number;
    TAILQ_INSERT_TAIL(&e->queries, q, link);
    return q;
}

static void
dns_done(void *ctx, const struct dns_answer *answer)
{
    struct query *q = ctx;
    struct entry *e = q->entry;

    policy_lookup_answer_dns(e->lookup, q->number, answer, net_clock_steady());
    drop_query(q);
    pump(e);
}

static void
ask_dns(struct entry *e, const struct policy_ask *ask)
{
    struct query *q = new_query(e, ask);

    net_dns_start(&q->dns, e->resolver->worker->dns, ask->name, ask->type,
                  dns_done, q);
}

static void start_fetch(struct query *q);

static void
log_fetch(const struct query *q, const struct err *err)
{
    struct log_line line;

    log_begin(&line, q->entry->resolver->worker->relay->log,
              err ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO, "policy.fetch");
    log_text(&line, "host", q->host);
    log_text(&line, "result", err ? "failed" : "ok");
    log_text(&line, "reason", err ? err->text : NULL);
    log_end(&line);
}

static void
fetch_done(void *ctx, struct slice body, const struct err *err,
           const struct net_tls_facts *facts)
{
    struct query *q = ctx;
    struct entry *e = q->entry;
    struct resolver *r = e->resolver;
    struct query *next = TAILQ_FIRST(&r->fetches_waiting);

    (void)facts;
    log_fetch(q, err);
    r->fetches--;
    policy_lookup_answer_fetch(e->lookup, q->number, body, err,
                               net_clock_steady());
    drop_query(q);
    if (next) {
        TAILQ_REMOVE(&r->fetches_waiting, next, link);
        TAILQ_INSERT_TAIL(&next->entry->queries, next, link);
        start_fetch(next);
    }
    pump(e);
}

static void
start_fetch(struct query *q)
{
    struct worker *w = q->entry->resolver->worker;
    struct net_https_request request = {
        .tls = w->tls_https,
        .host = q->host,
        .path = "/.well-known/mta-sts.txt",
        .media_type = "text/plain",
        .addresses = q->addresses,
        .address_count = q->address_count,
        .limit_ms = NET_HTTPS_LIMIT_MS,
    };

    w->resolver->fetches++;
    net_https_start(&q->https, &w->loop, &request, fetch_done, q);
}

static void
ask_fetch(struct entry *e, const struct policy_ask *ask)
{
    struct resolver *r = e->resolver;
    struct query *q = new_query(e, ask);

    q->host = mem_text(ask->name);
    q->address_count = ask->address_count;
    q->addresses = mem_array(struct addr, ask->address_count);
    for (size_t i = 0; i < ask->address_count; i++) {
        q->addresses[i] = ask->addresses[i];
        addr_set_port(&q->addresses[i], r->worker->config->policy.https_port);
    }
    if (r->fetches < RESOLVER_FETCHES_MAX) {
        start_fetch(q);
        return;
    }
    TAILQ_REMOVE(&e->queries, q, link);
    TAILQ_INSERT_TAIL(&r->fetches_waiting, q, link);
}

/* --- entries --- */

static void
free_entry(struct entry *e)
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
is_busy(const struct entry *e)
{
    return e->lookup || e->finishing || e->store_calls > 0 ||
           !TAILQ_EMPTY(&e->waits);
}

static void
trim(struct resolver *r)
{
    struct entry *e, *next;

    for (e = TAILQ_FIRST(&r->entries); e && r->count > RESOLVER_CACHE_MAX;
         e = next) {
        next = TAILQ_NEXT(e, link);
        if (!is_busy(e))
            free_entry(e);
    }
}

static void
log_decided(const struct entry *e)
{
    static const char *const mx[] = {
        [POLICY_MX_FOUND] = "found",
        [POLICY_MX_IMPLICIT] = "implicit",
        [POLICY_MX_VIA] = "via",
        [POLICY_MX_NULL] = "null",
        [POLICY_MX_NO_DOMAIN] = "nxdomain",
        [POLICY_MX_UNKNOWN] = "unknown",
    };
    static const char *const sts[] = {
        [POLICY_STS_STATE_OFF] = "off",
        [POLICY_STS_STATE_ABSENT] = "absent",
        [POLICY_STS_STATE_CACHED] = "cached",
        [POLICY_STS_STATE_FRESH] = "fresh",
        [POLICY_STS_STATE_FAILED] = "failed",
        [POLICY_STS_STATE_UNKNOWN] = "unknown",
    };
    const struct policy_facts *f = &e->facts;
    bool has_policy = f->sts_state == POLICY_STS_STATE_CACHED ||
                      f->sts_state == POLICY_STS_STATE_FRESH;
    struct log_line line;

    log_begin(&line, e->resolver->worker->relay->log, LOG_LEVEL_INFO,
              "policy.decided");
    log_text(&line, "destination", e->key);
    log_text(&line, "mx", mx[f->mx]);
    log_text(&line, "mx_reason", *f->mx_why ? f->mx_why : NULL);
    log_int(&line, "hosts", (int64_t)f->host_count);
    log_text(&line, "sts", sts[f->sts_state]);
    log_text(&line, "sts_mode",
             has_policy ? policy_sts_mode_name(f->sts.mode) : NULL);
    log_text(&line, "sts_reason", *f->sts_why ? f->sts_why : NULL);
    log_end(&line);
}

static void
end_waits(struct entry *e, const struct policy_facts *facts)
{
    struct resolver_wait *w;

    while ((w = TAILQ_FIRST(&e->waits)) != NULL) {
        TAILQ_REMOVE(&e->waits, w, link);
        *w->slot = NULL;
        w->done(w->ctx, facts);
        free(w);
    }
}

static void
finish(struct task *task)
{
    struct entry *e = own_container(task, struct entry, finish);

    e->finishing = false;
    policy_facts_done(&e->facts);
    policy_lookup_take_facts(e->lookup, &e->facts);
    policy_lookup_free(&e->lookup);
    if (e->is_stale && !TAILQ_EMPTY(&e->waits)) {
        begin(e);
        return;
    }
    e->has_facts = !e->is_stale;
    log_decided(e);
    end_waits(e, &e->facts);
    if (strncmp(e->key, REFRESH_PREFIX, strlen(REFRESH_PREFIX)) == 0)
        free_entry(e);
}

static void
pump(struct entry *e)
{
    struct policy_ask ask;

    while (policy_lookup_next(e->lookup, &ask)) {
        switch (ask.kind) {
        case POLICY_ASK_DNS:
            ask_dns(e, &ask);
            break;
        case POLICY_ASK_CACHE:
            ask_cache(e, &ask);
            break;
        case POLICY_ASK_FETCH:
            ask_fetch(e, &ask);
            break;
        case POLICY_ASK_KEEP:
            keep(e, ask.entry);
            break;
        }
    }
    if (policy_lookup_is_over(e->lookup) && !e->finishing) {
        e->finishing = true;
        e->finish.run = finish;
        task_post(&e->resolver->worker->inbox, &e->finish);
    }
}

/* --- what to ask --- */

static void
question_for_route(const struct config_route *route, const char **hosts,
                   unsigned *ports, struct policy_question *q)
{
    q->domain = route->via[0].host;
    q->port = route->via[0].port;
    q->sts = false;
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
begin(struct entry *e)
{
    const struct config *c = e->resolver->worker->config;
    bool refresh = strncmp(e->key, REFRESH_PREFIX, strlen(REFRESH_PREFIX)) == 0;
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
        .dane = rule.dane && e->resolver->worker->dnssec != DNSSEC_OFF,
        .port = c->delivery.port,
        .refresh = refresh,
        .allow_special = c->delivery.allow_private,
        .ipv6 = c->delivery.ipv6,
    };

    e->is_stale = false;
    if (RAND_bytes((unsigned char *)&q.shuffle, sizeof(q.shuffle)) != 1)
        q.shuffle = (uint64_t)net_clock_steady();
    if (route)
        question_for_route(route, hosts, ports, &q);
    e->lookup = policy_lookup_new(&q, net_clock_steady());
    pump(e);
}

static struct entry *
find(struct resolver *r, const char *key)
{
    struct entry *e;

    HASH_FIND_STR(r->by_key, key, e);
    return e;
}

static struct entry *
get(struct resolver *r, const char *key)
{
    struct entry *e = find(r, key);

    if (!e) {
        e = mem_new(struct entry);
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
    struct entry *e = find(r, destination);

    if (!e || !e->has_facts || e->lookup ||
        net_clock_steady() >= e->facts.good_until_ms)
        return NULL;
    TAILQ_REMOVE(&r->entries, e, link);
    TAILQ_INSERT_TAIL(&r->entries, e, link);
    return &e->facts;
}

struct end_task {
    struct task task;
    struct entry *entry;
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
end_later(struct entry *e)
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
    struct entry *e = get(r, destination);
    struct resolver_wait *w = mem_new(struct resolver_wait);

    w->slot = slot;
    w->entry = e;
    w->done = done;
    w->ctx = ctx;
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
    struct entry *e;

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

void
resolver_forget(struct resolver *r, const char *destination)
{
    struct entry *e, *next;

    net_dns_forget(r->worker->dns, destination);
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

static void
stop_queries(struct query_list *list)
{
    struct query *q;

    while ((q = TAILQ_FIRST(list)) != NULL) {
        TAILQ_REMOVE(list, q, link);
        net_dns_cancel(&q->dns);
        net_https_cancel(&q->https);
        free(q->host);
        free(q->addresses);
        free(q);
    }
}

void
resolver_cut(struct resolver *r)
{
    struct entry *e;

    r->is_cut = true;
    stop_queries(&r->fetches_waiting);
    TAILQ_FOREACH(e, &r->entries, link)
    {
        stop_queries(&e->queries);
        end_waits(e, NULL);
    }
}

/* The worker's inbox is empty and the store thread is idle by then: no store
 * call and no finish is under way. */
void
resolver_free(struct resolver **place)
{
    struct resolver *r = take(place);
    struct entry *e;

    if (!r)
        return;
    stop_queries(&r->fetches_waiting);
    while ((e = TAILQ_FIRST(&r->entries)) != NULL) {
        end_waits(e, NULL);
        stop_queries(&e->queries);
        free_entry(e);
    }
    free(r);
}
