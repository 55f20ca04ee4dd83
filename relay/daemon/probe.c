#include "relay/daemon/probe.h"

#include "relay/base/mem.h"
#include "relay/daemon/resolver.h"
#include "relay/daemon/router.h"

#include <stdlib.h>
#include <strings.h>

struct probe {
    struct worker *worker;
    struct probe *next, **at; /* of worker->probes */
    struct probe **slot;
    char *destination, *only;
    const struct probe_events *events;
    void *ctx;
    struct net_timer *timer; /* for the look-up */
    struct resolver_wait *wait;
    bool is_unsure; /* the plan rests on something that failed for now */
    struct policy_plan plan;
    struct probe_host *hosts;
    size_t open; /* visits under way */
};

/* --- the end --- */

static enum probe_verdict
verdict(const struct probe *p)
{
    bool is_unsure = p->is_unsure;

    for (size_t i = 0; p->hosts && i < p->plan.host_count; i++) {
        const struct probe_host *h = &p->hosts[i];

        if (h->is_asked && h->report.state == VISIT_GOOD)
            return PROBE_DELIVERABLE;
        is_unsure |= h->is_asked && h->report.state == VISIT_UNKNOWN;
    }
    return is_unsure ? PROBE_UNKNOWN : PROBE_UNDELIVERABLE;
}

static void
end(struct probe *p, bool is_known, bool is_late)
{
    struct probe_view view = {
        .plan = &p->plan,
        .hosts = p->hosts,
        .host_count = p->plan.host_count,
        .verdict = verdict(p),
    };

    resolver_cancel(&p->wait);
    net_timer_free(&p->timer);
    for (size_t i = 0; p->hosts && i < p->plan.host_count; i++)
        visit_cancel(&p->hosts[i].visit);
    *p->at = p->next;
    if (p->next)
        p->next->at = p->at;
    *p->slot = NULL;
    p->events->done(p->ctx, is_known ? &view : NULL, is_late);
    for (size_t i = 0; p->hosts && i < p->plan.host_count; i++)
        free(p->hosts[i].report.policy);
    free(p->hosts);
    policy_plan_done(&p->plan);
    free(p->destination);
    free(p->only);
    free(p);
}

/* --- the visits --- */

static void
visited(void *ctx, const struct visit_report *report)
{
    struct probe_host *h = ctx;

    h->report = *report;
    h->report.policy = mem_text(report->policy);
    h->is_asked = true;
    if (--h->probe->open == 0)
        end(h->probe, true, false);
}

/* The first address of host number `index`, as a delivery would see it among
 * the others. */
static bool
choose(const struct probe *p, const struct config_route *route, size_t index,
       struct candidate *out)
{
    struct policy_plan alone = p->plan;
    struct candidate found[POLICY_ADDRESSES_MAX];
    bool loops;
    size_t count;

    alone.hosts = mem_array(struct policy_host, index + 1);
    alone.host_count = index + 1;
    memcpy(alone.hosts, p->plan.hosts, (index + 1) * sizeof(*alone.hosts));
    for (size_t i = 0; i < index; i++)
        alone.hosts[i].address_count = 0;
    count = candidate_list(&alone, p->worker->config, route, found, &loops);
    free(alone.hosts);
    if (count == 0)
        return false;
    *out = found[0];
    out->host = &p->plan.hosts[index];
    return true;
}

static void
visit_all(struct probe *p, const struct config_route *route)
{
    p->hosts = mem_array(struct probe_host, p->plan.host_count + 1);
    for (size_t i = 0; i < p->plan.host_count; i++) {
        struct probe_host *h = &p->hosts[i];
        struct candidate at;

        h->probe = p;
        h->host = &p->plan.hosts[i];
        if (p->only && strcasecmp(p->only, h->host->name) != 0)
            continue;
        if (!choose(p, route, i, &at)) {
            h->is_left_out = true;
            continue;
        }
        p->open++;
        visit_start(&h->visit, p->worker, &at, p->destination, PROBE_VISIT_MS,
                    visited, h);
    }
}

/* --- facts and plan --- */

static bool
is_unsure(const struct policy_facts *f)
{
    if (f->mx == POLICY_MX_UNKNOWN || f->sts_state == POLICY_STS_STATE_UNKNOWN)
        return true;
    for (size_t i = 0; i < f->host_count; i++)
        if (f->hosts[i].state == POLICY_HOST_UNKNOWN ||
            f->hosts[i].tlsa_state == POLICY_TLSA_FAILED)
            return true;
    return false;
}

static void
make_plan(struct probe *p, const struct policy_facts *facts,
          const struct config_route *route)
{
    const struct config *c = p->worker->config;
    struct config_domain rule =
        config_rule_for(c, p->destination, net_clock_wall());
    struct policy_inputs in =
        router_inputs(c, p->destination, facts, net_clock_wall());
    struct probe_view view = {
        .facts = facts,
        .plan = &p->plan,
        .route = route,
        .inputs = &in,
        .is_exempt = !route && rule.is_exemption,
    };

    policy_plan_make(&in, &p->plan);
    p->is_unsure = is_unsure(facts);
    p->events->planned(p->ctx, &view);
}

static void
facts_known(void *ctx, const struct policy_facts *facts)
{
    struct probe *p = ctx;
    bool gone;
    const struct config_route *route =
        router_route(p->worker->config, p->destination, &gone);

    net_timer_stop(p->timer);
    if (!facts || gone) {
        end(p, false, false);
        return;
    }
    make_plan(p, facts, route);
    if (p->plan.verdict == POLICY_GO)
        visit_all(p, route);
    if (p->open == 0)
        end(p, true, false);
}

static void
late(void *ctx)
{
    end(ctx, false, true);
}

bool
probe_may_start(const struct worker *w)
{
    size_t count = 0;

    for (const struct probe *p = w->probes; p; p = p->next)
        count++;
    return count < PROBE_MAX;
}

void
probe_start(struct probe **slot, struct worker *w, const char *destination,
            const char *only, const struct probe_events *events, void *ctx)
{
    struct probe *p = mem_new(struct probe);

    p->worker = w;
    p->slot = slot;
    *slot = p;
    p->destination = mem_text(destination);
    p->only = mem_text(only);
    p->events = events;
    p->ctx = ctx;
    p->next = w->probes;
    p->at = &w->probes;
    if (p->next)
        p->next->at = &p->next;
    w->probes = p;
    p->timer = net_timer_new(&w->loop, late, p);
    net_timer_set(p->timer, PROBE_LOOKUP_MS);
    /* As things are now, not as they were at the last message: answers about
     * hosts count for as much as those about the domain. */
    resolver_forget(w->resolver, destination);
    net_dns_forget(w->dns, NULL);
    resolver_start(&p->wait, w->resolver, destination, facts_known, p);
}

void
probe_cut(struct probe *p)
{
    end(p, false, false);
}
