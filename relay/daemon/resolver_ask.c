#include "relay/daemon/resolver_inside.h"

#include "relay/base/mem.h"
#include "relay/daemon/refresher.h"
#include "relay/daemon/sts_shelf.h"

#include <stdlib.h>

struct cache_call {
    struct store_call call;
    struct resolver_entry *entry;
    unsigned number;
    char *domain;
    struct buf text; /* read, or to be written */
    int64_t due_ms;
};

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
    struct resolver_entry *e = x->entry;
    struct policy_sts_entry found = {0};
    bool is_lost = x->call.failed && x->call.err.kind != ERR_MISSING;
    struct err err;
    bool ok = !x->call.failed &&
              sts_shelf_parse(x->domain, buf_slice(&x->text), &found, &err);

    e->store_calls--;
    if (!e->resolver->is_cut) {
        policy_lookup_answer_cache(e->lookup, x->number, ok ? &found : NULL,
                                   is_lost ? &x->call.err : NULL,
                                   net_clock_steady());
        resolver_pump(e);
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
ask_cache(struct resolver_entry *e, const struct policy_ask *ask)
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
keep(struct resolver_entry *e, const struct policy_sts_entry *entry)
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
drop_query(struct resolver_query *q)
{
    TAILQ_REMOVE(&q->entry->queries, q, link);
    free(q->host);
    free(q->addresses);
    free(q);
}

static struct resolver_query *
new_query(struct resolver_entry *e, const struct policy_ask *ask)
{
    struct resolver_query *q = mem_new(struct resolver_query);

    q->entry = e;
    q->number = ask->number;
    TAILQ_INSERT_TAIL(&e->queries, q, link);
    return q;
}

static void
count_validation(const struct resolver_query *q,
                 const struct dns_answer *answer)
{
    const char *result = answer->authentic ? "secure" : "insecure";

    metrics_count(q->entry->resolver->worker->relay->metrics,
                  METRICS_VALIDATIONS,
                  answer->outcome == DNS_FAILED ? "failed" : result);
}

static void
dns_done(void *ctx, const struct dns_answer *answer)
{
    struct resolver_query *q = ctx;
    struct resolver_entry *e = q->entry;

    count_validation(q, answer);
    policy_lookup_answer_dns(e->lookup, q->number, answer, net_clock_steady());
    drop_query(q);
    resolver_pump(e);
}

static void
ask_dns(struct resolver_entry *e, const struct policy_ask *ask)
{
    struct resolver_query *q = new_query(e, ask);

    net_dns_start(&q->dns, e->resolver->worker->dns, ask->name, ask->type,
                  dns_done, q);
}

static void start_fetch(struct resolver_query *q);

static void
log_fetch(const struct resolver_query *q, const struct err *err)
{
    struct log_line line;

    log_begin(&line, q->entry->resolver->worker->relay->log,
              err ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO, "policy.fetch");
    log_text(&line, "host", q->host);
    log_text(&line, "result", err ? "failed" : "ok");
    log_text(&line, "reason", err ? err->text : NULL);
    log_end(&line);
    metrics_count(q->entry->resolver->worker->relay->metrics, METRICS_FETCHES,
                  err ? "failed" : "ok");
}

static void
fetch_done(void *ctx, struct slice body, const struct err *err,
           const struct net_tls_facts *facts)
{
    struct resolver_query *q = ctx;
    struct resolver_entry *e = q->entry;
    struct resolver *r = e->resolver;
    struct resolver_query *next = TAILQ_FIRST(&r->fetches_waiting);

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
    resolver_pump(e);
}

static void
start_fetch(struct resolver_query *q)
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
ask_fetch(struct resolver_entry *e, const struct policy_ask *ask)
{
    struct resolver *r = e->resolver;
    struct resolver_query *q = new_query(e, ask);

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

void
resolver_ask(struct resolver_entry *e, const struct policy_ask *ask)
{
    switch (ask->kind) {
    case POLICY_ASK_DNS:
        ask_dns(e, ask);
        break;
    case POLICY_ASK_CACHE:
        ask_cache(e, ask);
        break;
    case POLICY_ASK_FETCH:
        ask_fetch(e, ask);
        break;
    case POLICY_ASK_KEEP:
        keep(e, ask->entry);
        break;
    }
}

void
resolver_stop_queries(struct resolver_queries *list)
{
    struct resolver_query *q;

    while ((q = TAILQ_FIRST(list)) != NULL) {
        TAILQ_REMOVE(list, q, link);
        net_dns_cancel(&q->dns);
        net_https_cancel(&q->https);
        free(q->host);
        free(q->addresses);
        free(q);
    }
}
