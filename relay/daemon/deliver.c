#include "relay/daemon/deliver_inside.h"

#include "relay/base/mem.h"
#include "relay/daemon/dispatch.h"
#include "relay/daemon/resolver.h"
#include "relay/daemon/router.h"

#include <assert.h>
#include <stdlib.h>
#include <strings.h>

static void plan_job(struct deliver *d);

void
deliver_end_order(struct deliver *d)
{
    while (d->done < d->count) {
        deliver_begin_report(d);
        deliver_send_report(d, REPORT_NOT_TRIED);
    }
    d->want = WANT_END;
}

bool
deliver_is_current(const struct deliver *d)
{
    return d->serial == d->worker->config->serial;
}

/* Messages of one order may ask for different things (RFC 8689), and the order
 * may outlast what was known when it began. */
bool
deliver_is_planned(const struct deliver *d)
{
    const struct queue_message *m = deliver_job(d)->message;

    return deliver_is_current(d) && net_clock_steady() < d->good_until_ms &&
           mail_envelope_demands_requiretls(&m->envelope) == d->requiretls &&
           m->tls_required_no == d->tls_required_no;
}

void
deliver_next_job(struct deliver *d)
{
    if (d->done == d->count)
        d->want = WANT_END;
    else
        d->want = deliver_is_planned(d) ? WANT_JOB : WANT_PLAN;
}

/* The same for the message that comes next, and for those behind it that ask
 * for the same: nothing about the messages themselves. */
static void
decide_all(struct deliver *d, const struct mail_status *status,
           const char *step)
{
    do {
        deliver_begin_report(d);
        d->began_ms = net_clock_steady();
        deliver_record(d, status, step);
        report_decide_rest(d->report, status);
        deliver_send_report(d, REPORT_REACHED);
    } while (d->done < d->count && deliver_is_planned(d));
    deliver_next_job(d);
}

/* RFC 8461 section 5.1: a failure under a policy is nothing final before DNS
 * was asked whether there is another one by now. */
static void
put_off(struct deliver *d, const struct mail_status *status)
{
    if (d->sts_in_force)
        resolver_forget(d->worker->resolver, d->order->destination);
    report_decide_rest(d->report, status);
    /* What REQUIRETLS asks of a host says nothing of other mail. */
    deliver_send_report(d, d->got_ready || d->requiretls ? REPORT_REACHED
                                                         : REPORT_UNREACHED);
    if (d->done < d->count)
        deliver_end_order(d);
    else
        d->want = WANT_END;
}

bool
deliver_is_all_tried(const struct deliver *d)
{
    size_t addresses = 0;

    for (size_t i = 0; i < d->plan.host_count; i++)
        addresses += d->plan.hosts[i].address_count;
    return !d->plan.is_partial && addresses <= POLICY_ADDRESSES_MAX &&
           d->candidate + 1 >= d->candidate_count;
}

/* No host can be had that keeps the promise: RFC 8689 section 4.2.1.  The last
 * of them may have proven itself and lack the extension; else it is encryption
 * to the right host that is needed. */
static void
make_final(struct mail_status *s)
{
    bool lacks_extension = s->subject == 7 && s->detail == 30;

    s->code = 550;
    s->klass = 5;
    s->subject = 7;
    s->detail = lacks_extension ? 30 : 10;
}

/* A host's refusal of us is no refusal of the message: RFC 5321 section 5.1 has
 * us try the others, and later again. */
static void
try_later(struct deliver *d)
{
    struct mail_status status = d->last;

    if (!mail_status_is_transient(&status))
        mail_status_set(&status, 451, "4.4.1", "%d %s", d->last.code,
                        d->last.text);
    put_off(d, &status);
}

/* The order was given under another configuration: what is left of it goes back
 * to where that is looked at as a whole, mode, routes and rules. */
static void
end_outdated(struct deliver *d)
{
    if (d->report && d->failures > 0)
        try_later(d);
    else
        deliver_end_order(d);
}

static void
all_failed(struct deliver *d)
{
    struct mail_status status = d->last;

    if (d->is_refused) {
        deliver_hold(d);
        return;
    }
    if (d->requiretls && d->unproven == d->failures &&
        deliver_is_all_tried(d)) {
        make_final(&status);
        report_decide_rest(d->report, &status);
        deliver_send_report(d, REPORT_REACHED);
        deliver_next_job(d);
        return;
    }
    try_later(d);
}

/* What can't be recorded would be delivered again: it is not even begun; nor
 * is what the end of the relay might cut off. */
bool
deliver_can_record(const struct deliver *d)
{
    return atomic_load(&d->worker->relay->store_is_healthy) &&
           !d->worker->is_stopping;
}

bool
deliver_may_start(struct deliver *d)
{
    if (deliver_can_record(d))
        return true;
    deliver_end_order(d);
    return false;
}

/* A domain that leads back to us can't be delivered to.  A route that does so
 * is a mistake of ours, and not the last word on its mail. */
void
deliver_end_loop(struct deliver *d, const char *how)
{
    struct mail_status status = {0};
    bool gone;
    bool is_route =
        router_route(d->worker->config, d->order->destination, &gone) != NULL;

    mail_status_set(&status, is_route ? 451 : 554, is_route ? "4.4.6" : "5.4.6",
                    "mail for %s loops back to this relay%s",
                    d->order->destination, how);
    if (!is_route) {
        decide_all(d, &status, "policy");
        return;
    }
    deliver_begin_report(d);
    d->began_ms = net_clock_steady();
    deliver_fail_here(d, &status, "route");
    put_off(d, &status);
}

static void
first_address(struct deliver *d)
{
    if (!deliver_may_start(d))
        return;
    deliver_begin_report(d);
    d->candidate = 0;
    d->in_clear = false;
    deliver_connect(d, true);
}

static void
next_address(struct deliver *d)
{
    if (d->candidate + 1 >= d->candidate_count ||
        net_clock_steady() - d->job_began_ms > DELIVER_ATTEMPT_MS) {
        all_failed(d);
        return;
    }
    d->candidate++;
    d->in_clear = false;
    deliver_connect(d, true);
}

/* No further host is asked under a configuration of before.  A message that
 * somebody has already stays with its plan: it goes no further; see
 * deliver_has_more_to_fly. */
static enum want
wanted_now(const struct deliver *d)
{
    bool is_for_host = d->want == WANT_AGAIN || d->want == WANT_NEXT;

    return is_for_host && !deliver_is_current(d) &&
                   !(d->report && report_has_decided(d->report))
               ? WANT_PLAN
               : d->want;
}

/* The only place where an order ends; called last by every callback. */
void
deliver_settle(struct deliver *d)
{
    while (d->want != WANT_NOTHING) {
        enum want want = wanted_now(d);

        d->want = WANT_NOTHING;
        switch (want) {
        case WANT_NOTHING:
            break;
        case WANT_PLAN:
            deliver_hang_up(d, true);
            plan_job(d);
            break;
        case WANT_JOB:
            deliver_hang_up(d, true);
            first_address(d);
            break;
        case WANT_AGAIN:
            deliver_connect(d, false);
            break;
        case WANT_NEXT:
            next_address(d);
            break;
        case WANT_END:
            deliver_hang_up(d, true);
            *d->at = d->next;
            if (d->next)
                d->next->at = d->at;
            policy_plan_done(&d->plan);
            tls_result_free(&d->tls_result);
            credential_free(&d->credential);
            free(d);
            return;
        }
    }
}

/* What would have been otherwise, were policies enforced here. */
static void
log_shadow(const struct deliver *d, const struct policy_shadow *shadow)
{
    struct log_line line;

    log_begin(&line, d->worker->relay->log, LOG_LEVEL_WARNING, "policy.shadow");
    log_text(&line, "destination", d->order->destination);
    log_text(&line, "mx", shadow->name[0] ? shadow->name : NULL);
    log_text(&line, "policy", policy_source_name(shadow->source));
    log_text(&line, "would",
             shadow->is_refused ? "refuse" : policy_proof_name(shadow->proof));
    log_text(&line, "reason", shadow->why);
    log_end(&line);
}

static bool
is_in_force(const struct policy_facts *f)
{
    return (f->sts_state == POLICY_STS_STATE_CACHED ||
            f->sts_state == POLICY_STS_STATE_FRESH) &&
           f->sts.mode == POLICY_STS_ENFORCE;
}

static void
make_plan(struct deliver *d, const struct policy_facts *facts)
{
    struct policy_inputs in = router_inputs(
        d->worker->config, d->order->destination, facts, net_clock_wall());

    d->good_until_ms = facts->good_until_ms;
    d->sts_in_force = is_in_force(facts);
    in.requiretls = d->requiretls;
    in.tls_required_no = d->tls_required_no;
    policy_plan_done(&d->plan);
    policy_plan_make(&in, &d->plan);
    for (size_t i = 0; i < d->plan.shadow_count; i++)
        log_shadow(d, &d->plan.shadow[i]);
    tls_result_free(&d->tls_result);
    if (!in.is_route)
        d->tls_result = tls_result_new(d->worker, facts, &d->plan);
}

static void
plan_made(struct deliver *d, const struct config_route *route)
{
    bool loops;

    d->candidate = d->candidate_count = 0;
    d->messages_max = route && route->messages_per_connection
                          ? route->messages_per_connection
                          : d->worker->config->delivery.messages_per_connection;
    if (d->plan.cause != POLICY_CAUSE_NONE)
        deliver_count_refusal(d, false, d->plan.source, d->plan.cause,
                              d->plan.status.text);
    switch (d->plan.verdict) {
    case POLICY_GO:
        break;
    case POLICY_DEFER:
        if (d->requiretls) { /* what others would get is not known by it */
            decide_all(d, &d->plan.status, "policy");
            return;
        }
        deliver_begin_report(d);
        d->began_ms = net_clock_steady();
        deliver_fail_here(d, &d->plan.status, "policy");
        put_off(d, &d->plan.status);
        return;
    case POLICY_REFUSE:
        decide_all(d, &d->plan.status, "policy");
        return;
    }
    d->candidate_count = candidate_list(&d->plan, d->worker->config, route,
                                        d->candidates, &loops);
    candidate_sort(d->candidates, d->candidate_count, d->worker->outage,
                   net_clock_steady());
    if (d->candidate_count > 0) {
        first_address(d);
        return;
    }
    deliver_end_loop(d, "");
}

/* All of it comes back under another destination: see outcome.c. */
static void
route_is_gone(struct deliver *d)
{
    struct mail_status status = {0};

    mail_status_set(&status, 451, "4.3.5",
                    "%s is no longer in the configuration",
                    d->order->destination);
    decide_all(d, &status, "route");
}

static void
use_facts(struct deliver *d, const struct policy_facts *facts)
{
    bool gone;
    const struct config_route *route =
        router_route(d->worker->config, d->order->destination, &gone);

    if (!deliver_is_current(d)) {
        end_outdated(d);
    } else if (gone) {
        route_is_gone(d);
    } else if (!deliver_may_authenticate(d)) {
        deliver_end_order(d);
    } else {
        make_plan(d, facts);
        plan_made(d, route);
    }
}

static void
facts_known(void *ctx, const struct policy_facts *facts)
{
    struct deliver *d = ctx;

    deliver_end_phase(d, METRICS_DNS);
    use_facts(d, facts);
    deliver_settle(d);
}

/* RFC 8461 section 5.1: nothing is given up for what a policy says before DNS
 * was asked whether there is a new one. */
static bool
is_last_chance(const struct deliver *d)
{
    const struct queue_job *j = deliver_job(d);
    const struct queue_message *m = j->message;

    for (size_t i = 0; i < j->rcpt_count; i++)
        if (queue_schedule_is_expired(&d->worker->config->retry,
                                      m->rcpt[j->rcpt[i]].attempts + 1,
                                      m->arrived_ms, net_clock_steady()))
            return true;
    return false;
}

/* A plan for the message that comes next, and for those like it behind it. */
static void
plan_job(struct deliver *d)
{
    const struct queue_message *m = deliver_job(d)->message;
    struct resolver *r = d->worker->resolver;
    const struct policy_facts *facts = resolver_find(r, d->order->destination);

    if (!deliver_is_current(d)) {
        end_outdated(d);
        return;
    }
    d->requiretls = mail_envelope_demands_requiretls(&m->envelope);
    d->tls_required_no = m->tls_required_no;
    if (facts && is_in_force(facts) && (d->requiretls || is_last_chance(d))) {
        resolver_forget(r, d->order->destination);
        facts = NULL;
    }
    if (facts) {
        use_facts(d, facts);
        return;
    }
    deliver_begin_phase(d, METRICS_DNS);
    resolver_start(&d->wait, d->worker->resolver, d->order->destination,
                   facts_known, d);
}

/* False: it is neither a domain nor a route. */
static bool
is_known(const struct deliver *d)
{
    bool gone;

    (void)router_route(d->worker->config, d->order->destination, &gone);
    return !gone;
}

void
deliver_start(struct worker *w, struct queue_order *order,
              struct credential *credential)
{
    struct deliver *d = mem_new(struct deliver);

    assert(order->count > 0);
    d->worker = w;
    d->order = order;
    d->credential = credential;
    d->serial = w->config->serial;
    d->good_until_ms = INT64_MAX;
    d->count = order->count;
    d->next = w->deliveries;
    d->at = &w->deliveries;
    if (d->next)
        d->next->at = &d->next;
    w->deliveries = d;
    deliver_begin_turn(d);
    if (w->is_stopping)
        deliver_end_order(d);
    else if (!is_known(d))
        route_is_gone(d);
    else
        plan_job(d);
    deliver_settle(d);
}

/* Some may have it already, while the connection for the others comes. */
bool
deliver_has_begun(const struct deliver *d)
{
    return d->report &&
           (report_has_decided(d->report) || (d->conn && d->got_ready));
}

struct deliver *
deliver_next(const struct deliver *d)
{
    return d->next;
}

void
deliver_cut(struct deliver *d)
{
    struct mail_status status = {0};
    bool began = deliver_has_begun(d);

    resolver_cancel(&d->wait);
    net_dial_cancel(&d->dial);
    mail_status_set(&status, 451, "4.3.2", "this relay was stopped%s",
                    d->smtp && smtp_client_is_in_doubt(d->smtp)
                        ? "; the message may have been delivered"
                        : "");
    if (began) {
        deliver_record(d, &status,
                       d->smtp ? smtp_client_step(d->smtp) : "connect");
        report_decide_rest(d->report, &status);
        deliver_send_report(d, REPORT_REACHED);
    }
    deliver_hang_up(d, false);
    deliver_end_order(d);
    deliver_settle(d);
}
