/* Where mail goes: routes, and the sites that much of it waits for. */
#include "relay/admin/metrics.h"

#include "relay/base/mem.h"
#include "relay/base/own.h"
#include "relay/daemon/account.h"
#include "relay/daemon/dispatch.h"
#include "relay/daemon/router.h"
#include "relay/net/timer.h"
#include "relay/watch/sites.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROUTES_MAX = METRIC_SERIES_MAX }; /* of a configuration, in its order */

#define LABELS(...) ((const char *const[]){__VA_ARGS__})

struct route {
    const char *name;
    bool is_held, is_unreachable, is_throttled;
    unsigned active;
};

/* Sites are few, besides those that have no name: see relay/watch/sites.h. */
enum { SITES = SITES_MAX + 2 };

struct site {
    const char *name;
    size_t waiting;
};

struct look {
    const struct sites *sites;
    int64_t now_ms;
    struct route *route;
    size_t route_count;
    struct site site[SITES];
    size_t site_count;
    size_t destinations, blocked;
};

/* --- what there is --- */

static struct route *
find_route(struct look *l, const char *name)
{
    for (size_t i = 0; i < l->route_count; i++)
        if (strcmp(l->route[i].name, name) == 0)
            return &l->route[i];
    return NULL;
}

static void
look_at_route(struct look *l, const struct queue_destination_row *row)
{
    size_t prefix = strlen(ROUTER_PREFIX);
    bool is_blocked = row->blocked_until_ms > l->now_ms;
    struct route *r = NULL;

    if (strncmp(row->name, ROUTER_PREFIX, prefix) == 0)
        r = find_route(l, row->name + prefix);
    if (!r)
        return;
    r->active = row->active;
    r->is_held |= row->is_held;
    r->is_unreachable = is_blocked && row->failures > 0 && !row->is_held;
    r->is_throttled = is_blocked && row->eased > 0 && row->failures == 0;
}

static void
add_to_site(struct look *l, const char *name, size_t waiting)
{
    size_t i = 0;

    while (i < l->site_count && strcmp(l->site[i].name, name) != 0)
        i++;
    if (i == l->site_count) {
        if (i == SITES)
            return;
        l->site[l->site_count++].name = name;
    }
    l->site[i].waiting += waiting;
}

static void
look_at(void *ctx, const struct queue_destination_row *row)
{
    struct look *l = ctx;

    l->destinations++;
    l->blocked += row->blocked_until_ms != 0;
    look_at_route(l, row);
    add_to_site(l, sites_find(l->sites, row->name), row->waiting + row->active);
}

static void
look_at_account(void *ctx, const struct account_row *row)
{
    struct route *r = find_route(ctx, row->route);

    if (r)
        r->is_held |= row->state == ACCOUNT_HELD;
}

static void
list_routes(struct look *l, const struct config *c)
{
    l->route_count = c->route_count < ROUTES_MAX ? c->route_count : ROUTES_MAX;
    l->route = mem_array(struct route, l->route_count + 1);
    for (size_t i = 0; i < l->route_count; i++)
        l->route[i].name = c->route[i].name;
}

/* --- the page --- */

static void
add_routes(struct metric_page *p, const struct look *l)
{
    static const struct metric_family up = {
        "sealpost_upstream_up",
        "1 unless a route's hosts can't be reached or do not let us in.",
        METRIC_GAUGE,
        {"route"}};
    static const struct metric_family connections = {
        "sealpost_upstream_connections",
        "Deliveries under way by a route.",
        METRIC_GAUGE,
        {"route"}};
    static const struct metric_family suspended = {
        "sealpost_route_suspended",
        "1 while a route sends nothing for that reason.",
        METRIC_GAUGE,
        {"route", "reason"}};

    metric_page_family(p, &up);
    for (size_t i = 0; i < l->route_count; i++)
        metric_page_sample(p, &up, LABELS(l->route[i].name),
                           !l->route[i].is_held && !l->route[i].is_unreachable);
    metric_page_family(p, &connections);
    for (size_t i = 0; i < l->route_count; i++)
        metric_page_sample(p, &connections, LABELS(l->route[i].name),
                           l->route[i].active);
    metric_page_family(p, &suspended);
    for (size_t i = 0; i < l->route_count; i++) {
        const struct route *r = &l->route[i];

        metric_page_sample(p, &suspended, LABELS(r->name, "auth"), r->is_held);
        metric_page_sample(p, &suspended, LABELS(r->name, "unreachable"),
                           r->is_unreachable);
        metric_page_sample(p, &suspended, LABELS(r->name, "throttled"),
                           r->is_throttled);
    }
}

static void
add_sites(struct metric_page *p, const struct look *l)
{
    static const struct metric_family family = {
        "sealpost_queue_dest_messages",
        "Messages in memory for a site.",
        METRIC_GAUGE,
        {"dest"}};

    metric_page_family(p, &family);
    for (size_t i = 0; i < l->site_count; i++)
        metric_page_sample(p, &family, LABELS(l->site[i].name),
                           (double)l->site[i].waiting);
}

void
admin_metrics_routes(struct metric_page *p, struct relay *relay)
{
    struct look l = {.sites = relay->sites, .now_ms = net_clock_steady()};

    list_routes(&l, relay->config);
    queue_scheduler_each(dispatch_scheduler(relay->dispatch), look_at, &l);
    accounts_each(relay->accounts, look_at_account, &l);
    add_routes(p, &l);
    add_sites(p, &l);
    admin_metrics_add(p, "sealpost_destinations",
                      "Destinations with work at hand.",
                      (double)l.destinations);
    admin_metrics_add(
        p, "sealpost_destinations_blocked",
        "Destinations that wait because they can't be reached or have failed.",
        (double)l.blocked);
    free(l.route);
}
