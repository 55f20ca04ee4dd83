#include "relay/daemon/webhooks.h"

#include "relay/base/mem.h"
#include "relay/daemon/dnssec.h"
#include "relay/daemon/tls_result.h"

#include <stdlib.h>

struct stock_call;

struct webhooks {
    struct relay *relay;
    struct net_dns *dns; /* NULL: nobody is to be looked up */
    struct webhook **list;
    size_t count;
    struct stock_call *call;
};

/* Drops what is for nobody, and counts the rest. */
struct stock_call {
    struct store_call call;
    struct webhooks *all; /* NULL: they are gone, or others */
    char **names;
    uint64_t *waiting;
    size_t count;
};

/* --- what waits in the store --- */

static bool
work_stock(struct store_call *call, struct queue_store *store, struct err *err)
{
    struct stock_call *x = own_container(call, struct stock_call, call);

    if (!queue_store_feed_keep(store, x->names, x->count, err))
        return false;
    for (size_t i = 0; i < x->count; i++)
        if (!queue_store_feed_count(store, x->names[i], &x->waiting[i], err))
            return false;
    return true;
}

static void
stocked(struct task *task)
{
    struct stock_call *x = own_container(task, struct stock_call, call.task);
    struct webhooks *all = x->all;

    if (all)
        all->call = NULL;
    for (size_t i = 0; i < x->count; i++) {
        if (all && !x->call.failed)
            webhook_stock(all->list[i], x->waiting[i]);
        free(x->names[i]);
    }
    free(x->names);
    free(x->waiting);
    free(x);
}

static void
take_stock(struct webhooks *all)
{
    struct stock_call *x = mem_new(struct stock_call);

    if (all->call)
        all->call->all = NULL;
    x->all = all;
    x->count = all->count;
    x->names = mem_array(char *, all->count + 1);
    x->waiting = mem_array(uint64_t, all->count + 1);
    for (size_t i = 0; i < all->count; i++)
        x->names[i] = mem_text(webhook_name(all->list[i]));
    x->call.work = work_stock;
    x->call.task.run = stocked;
    x->call.home = &all->relay->inbox;
    all->call = x;
    store_thread_post(all->relay->store, &x->call);
}

/* --- the configuration --- */

static void
complain(const struct webhooks *all, const char *name, const struct err *err)
{
    struct log_line line;

    log_begin(&line, all->relay->log, LOG_LEVEL_ERROR, "webhook.delivery");
    log_text(&line, "webhook", name);
    log_text(&line, "result", "failed");
    log_text(&line, "reason", err->text);
    log_end(&line);
}

static void
open_dns(struct webhooks *all)
{
    const struct config *c = all->relay->config;
    struct net_dns_config dns = dnssec_config(c, DNSSEC_OFF);
    bool is_wanted = false;
    struct err err;

    for (size_t i = 0; i < c->webhook_count; i++)
        is_wanted |= !c->webhook[i].is_loopback;
    if (!is_wanted)
        return;
    all->dns = net_dns_new(&all->relay->loop, &dns, &err);
    if (!all->dns)
        complain(all, NULL, &err);
}

/* Out of the list, where it is on it. */
static struct webhook *
take_by_name(struct webhook **list, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (list[i] && strcmp(webhook_name(list[i]), name) == 0)
            return take(&list[i]);
    return NULL;
}

static void
open_hooks(struct webhooks *all, struct webhook **old, size_t old_count)
{
    const struct config *c = all->relay->config;

    open_dns(all);
    all->list = mem_array(struct webhook *, c->webhook_count + 1);
    all->count = c->webhook_count;
    for (size_t i = 0; i < c->webhook_count; i++) {
        const struct config_webhook *w = &c->webhook[i];
        struct webhook *h = take_by_name(old, old_count, w->name);
        struct err err;

        all->list[i] = h ? h : webhook_new(all->relay, w->name);
        if (!w->is_loopback && !all->dns)
            continue;
        if (!webhook_configure(all->list[i], w, all->dns, &err))
            complain(all, w->name, &err);
    }
}

static void
free_list(struct webhook **list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        webhook_free(&list[i]);
    free(list);
}

void
webhooks_configure(struct webhooks *all)
{
    struct webhook **old = take(&all->list);
    size_t count = all->count;

    for (size_t i = 0; i < count; i++)
        webhook_pause(old[i]);
    net_dns_free(&all->dns);
    open_hooks(all, old, count);
    free_list(old, count);
    take_stock(all);
}

struct webhooks *
webhooks_new(struct relay *relay)
{
    struct webhooks *all = mem_new(struct webhooks);

    all->relay = relay;
    open_hooks(all, NULL, 0);
    take_stock(all);
    return all;
}

void
webhooks_free(struct webhooks **place)
{
    struct webhooks *all = take(place);

    if (!all)
        return;
    if (all->call)
        all->call->all = NULL;
    free_list(all->list, all->count);
    net_dns_free(&all->dns);
    free(all);
}

/* --- results --- */

static enum config_webhook_event
event_of(enum queue_outcome outcome)
{
    switch (outcome) {
    case QUEUE_DELIVERED:
        return CONFIG_WEBHOOK_SENT;
    case QUEUE_FAILED:
    case QUEUE_EXPIRED:
        return CONFIG_WEBHOOK_BOUNCED;
    case QUEUE_DEFERRED:
        return CONFIG_WEBHOOK_DEFERRED;
    }
    return CONFIG_WEBHOOK_DEFERRED;
}

char **
webhooks_wanting(const struct webhooks *all, const struct queue_message *m,
                 const struct queue_result *r)
{
    const struct config *c = all ? all->relay->config : NULL;
    char **names = NULL;
    size_t count = 0;

    if (!c || c->webhook_count == 0 || m->envelope.from[0] == '\0' ||
        tls_result_is_report(m) || (r->outcome == QUEUE_DEFERRED && r->untried))
        return NULL;
    for (size_t i = 0; i < c->webhook_count; i++) {
        if (!config_webhook_wants(&c->webhook[i], event_of(r->outcome),
                                  m->envelope.from, r->address))
            continue;
        if (!names)
            names = mem_array(char *, c->webhook_count + 1);
        names[count++] = mem_text(c->webhook[i].name);
    }
    return names;
}

void
webhooks_names_free(char ***place)
{
    char **names = take(place);

    for (size_t i = 0; names && names[i]; i++)
        free(names[i]);
    free(names);
}

void
webhooks_told(struct webhooks *all, char *const *names)
{
    for (; all && names && *names; names++)
        for (size_t i = 0; i < all->count; i++)
            if (strcmp(webhook_name(all->list[i]), *names) == 0)
                webhook_more(all->list[i]);
}

void
webhooks_each(const struct webhooks *all, webhooks_fn *each, void *ctx)
{
    for (size_t i = 0; i < all->count; i++) {
        struct webhook_state s = webhook_state(all->list[i]);

        each(ctx, &s);
    }
}
