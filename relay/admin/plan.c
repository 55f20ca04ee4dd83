/* GET /v1/plan/DOMAIN?from=: what would be done with mail for a domain now. */
#include "policy/plan.h"
#include "relay/admin/answer.h"
#include "relay/admin/ask.h"
#include "relay/admin/routes.h"
#include "relay/base/mem.h"
#include "relay/daemon/dispatch.h"
#include "relay/daemon/router.h"
#include "relay/net/timer.h"

const char *
admin_plan_name(enum policy_verdict verdict)
{
    static const char *const names[] = {[POLICY_GO] = "go",
                                        [POLICY_DEFER] = "defer",
                                        [POLICY_REFUSE] = "refuse"};

    return names[verdict];
}

static json_t *
host_object(const struct policy_host *h)
{
    json_t *addresses = json_array();
    char text[ADDR_TEXT_SIZE];

    for (size_t i = 0; i < h->address_count; i++)
        json_array_append_new(
            addresses, json_string(addr_text_port(&h->addresses[i], text)));
    return json_pack("{s:o, s:o, s:s, s:s, s:b, s:b}", "name",
                     admin_text(h->name), "addresses", addresses, "proof",
                     policy_proof_name(h->proof), "source",
                     policy_source_name(h->source), "implicit_tls",
                     h->implicit_tls, "observe", h->observe);
}

static json_t *
hosts(const struct policy_plan *p)
{
    json_t *list = json_array();

    for (size_t i = 0; i < p->host_count; i++)
        json_array_append_new(list, host_object(&p->hosts[i]));
    return list;
}

static json_t *
rejected(const struct policy_plan *p)
{
    json_t *list = json_array();

    for (size_t i = 0; i < p->rejected_count; i++)
        json_array_append_new(list,
                              json_pack("{s:o, s:o}", "name",
                                        admin_text(p->rejected[i].name), "why",
                                        admin_text(p->rejected[i].why)));
    return list;
}

json_t *
admin_plan_status(const struct policy_plan *p)
{
    char enhanced[16];
    char *text scoped(own_free) = NULL;

    if (p->verdict == POLICY_GO)
        return json_null();
    text =
        mem_printf("%d %s %s", p->status.code,
                   mail_status_enhanced(&p->status, enhanced), p->status.text);
    return admin_text(text);
}

static json_t *
sts(const struct policy_facts *f)
{
    bool has_policy = f->sts_state == POLICY_STS_STATE_CACHED ||
                      f->sts_state == POLICY_STS_STATE_FRESH;

    return json_pack("{s:s, s:o, s:o}", "state",
                     policy_sts_state_name(f->sts_state), "mode",
                     has_policy ? json_string(policy_sts_mode_name(f->sts.mode))
                                : json_null(),
                     "why", *f->sts_why ? admin_text(f->sts_why) : json_null());
}

static void
start(struct admin_ask *x, resolver_fn *done)
{
    char *address scoped(own_free) =
        mem_printf("postmaster@%s", x->domain.text);
    const struct policy_facts *known;

    x->destination =
        router_destination(x->worker->config, x->from, address, x->domain.text);
    known = resolver_find(x->worker->resolver, x->destination);
    if (known)
        done(x, known);
    else
        resolver_start(&x->wait, x->worker->resolver, x->destination, done, x);
}

static void
look(struct admin_ask *x, const struct policy_facts *facts)
{
    const struct config *c = x->worker->config;
    bool gone;
    const struct config_route *route = router_route(c, x->destination, &gone);
    struct config_domain rule =
        config_rule_for(c, x->destination, net_clock_wall());
    struct policy_inputs in =
        router_inputs(c, x->destination, facts, net_clock_wall());
    struct policy_plan plan scoped(policy_plan_done) = {0};

    policy_plan_make(&in, &plan);
    x->found = json_pack(
        "{s:s, s:o, s:o, s:s, s:b, s:s, s:o, s:o, s:s, s:o, s:o, s:o, s:o}",
        "domain", x->domain.text, "destination", admin_text(x->destination),
        "route", route ? admin_text(route->name) : json_null(), "tls",
        policy_level_name(in.level), "exempt", !route && rule.is_exemption,
        "mx", policy_mx_state_name(facts->mx), "mx_why",
        *facts->mx_why ? admin_text(facts->mx_why) : json_null(), "sts",
        sts(facts), "verdict", admin_plan_name(plan.verdict), "status",
        admin_plan_status(&plan), "hosts", hosts(&plan), "rejected",
        rejected(&plan), "good_until", admin_time(facts->good_until_ms));
}

/* Only the main thread knows whether anybody could be reached there. */
static void
add_destination(void *ctx, const struct queue_destination_row *row)
{
    struct admin_ask *x = ctx;

    if (strcmp(row->name, x->destination) != 0)
        return;
    json_object_set_new(x->found, "blocked_until",
                        admin_time(row->blocked_until_ms));
    json_object_set_new(x->found, "failures",
                        json_integer((json_int_t)row->failures));
    json_object_set_new(x->found, "why", admin_text(row->why));
    json_object_set_new(x->found, "held", json_boolean(row->is_held));
    json_object_set_new(x->found, "paced", json_boolean(row->is_paced));
    json_object_set_new(x->found, "eased",
                        json_integer((json_int_t)row->eased));
    json_object_set_new(x->found, "active",
                        json_integer((json_int_t)row->active));
}

static json_t *
retry(const struct queue_schedule *s)
{
    json_t *steps = json_array();

    for (size_t i = 0; i < s->steps; i++)
        json_array_append_new(steps, json_integer((json_int_t)s->step_ms[i]));
    return json_pack("{s:o, s:I, s:I}", "schedule_ms", steps, "expire_ms",
                     (json_int_t)s->expire_ms, "warn_ms",
                     (json_int_t)s->warn_ms);
}

static void
home(struct admin_ask *x)
{
    queue_scheduler_each(dispatch_scheduler(x->relay->dispatch),
                         add_destination, x);
    json_object_set_new(x->found, "retry", retry(&x->relay->config->retry));
    json_object_set_new(x->found, "ages_from",
                        admin_time(x->relay->ages_from_ms));
    json_object_set_new(x->found, "relay",
                        json_string(admin_relay_state(x->relay)));
}

void
admin_plan(struct relay *relay, struct net_http_request *r, const char *name)
{
    static const struct admin_ask_kind kind = {start, look, home};

    admin_ask_start(&kind, relay, r, name);
}
