/* GET /v1/probe/DOMAIN?from=&mx=: what would happen to mail for a domain now,
 * tried out as far as QUIT. */
#include "relay/daemon/probe.h"

#include "relay/admin/answer.h"
#include "relay/admin/ask.h"
#include "relay/admin/routes.h"
#include "relay/admin/view.h"
#include "relay/base/mem.h"
#include "relay/daemon/router.h"

#include <strings.h>

static json_t *
text_or_null(const char *text)
{
    return text && *text ? admin_text(text) : json_null();
}

/* --- what was looked up --- */

static const char *
tlsa_name(enum policy_tlsa_state state)
{
    static const char *const names[] = {
        [POLICY_TLSA_OFF] = "off",           [POLICY_TLSA_NONE] = "none",
        [POLICY_TLSA_INSECURE] = "insecure", [POLICY_TLSA_FOUND] = "found",
        [POLICY_TLSA_FAILED] = "failed",
    };

    return names[state];
}

static const char *
dane_name(enum policy_dane_rule rule)
{
    static const char *const names[] = {[POLICY_DANE_IGNORED] = "off",
                                        [POLICY_DANE_HEEDED] = "on",
                                        [POLICY_DANE_REQUIRED] = "required"};

    return names[rule];
}

static json_t *
record_text(const struct policy_dane_record *r)
{
    struct buf text scoped(buf_free) = {0};

    policy_dane_format(r, &text);
    return admin_text(buf_text(&text));
}

static json_t *
tlsa_object(const struct policy_host_facts *h)
{
    json_t *records = json_array();

    for (size_t i = 0; i < h->tlsa.count; i++)
        json_array_append_new(
            records,
            json_pack("{s:o, s:b}", "text", record_text(&h->tlsa.records[i]),
                      "usable", policy_dane_is_usable(&h->tlsa.records[i])));
    return json_pack("{s:s, s:o, s:o, s:o}", "state", tlsa_name(h->tlsa_state),
                     "why", text_or_null(h->tlsa_why), "base",
                     text_or_null(h->tlsa_base), "records", records);
}

static json_t *
found_host(const struct policy_host_facts *h, bool has_preference)
{
    json_t *addresses = json_array();
    char text[ADDR_TEXT_SIZE];

    for (size_t i = 0; i < h->address_count; i++)
        json_array_append_new(addresses,
                              json_string(addr_text(&h->addresses[i], text)));
    return json_pack("{s:o, s:o, s:s, s:o, s:o, s:b, s:b, s:o}", "name",
                     admin_text(h->name), "preference",
                     has_preference ? json_integer(h->preference) : json_null(),
                     "state", "not used", "why", text_or_null(h->why),
                     "addresses", addresses, "authentic", h->authentic,
                     "address_authentic", h->address_authentic, "tlsa",
                     tlsa_object(h));
}

static json_t *
found_hosts(const struct policy_facts *f)
{
    json_t *list = json_array();

    for (size_t i = 0; i < f->host_count; i++)
        json_array_append_new(
            list, found_host(&f->hosts[i], f->mx == POLICY_MX_FOUND));
    return list;
}

static json_t *
sts_object(const struct policy_facts *f)
{
    bool has_policy = f->sts_state == POLICY_STS_STATE_CACHED ||
                      f->sts_state == POLICY_STS_STATE_FRESH;
    json_t *policy = has_policy ? admin_view_entry(&f->sts_entry) : json_null();

    if (has_policy)
        json_object_set_new(policy, "text", admin_lines(f->sts_entry.text));
    return json_pack("{s:s, s:o, s:o}", "state",
                     policy_sts_state_name(f->sts_state), "why",
                     text_or_null(f->sts_why), "policy", policy);
}

/* --- the plan --- */

static json_t *
names_array(const struct policy_dane_names *names)
{
    json_t *list = json_array();

    for (size_t i = 0; i < names->count; i++)
        json_array_append_new(list, admin_text(names->text[i]));
    return list;
}

static void
add_plan(json_t *hosts, const struct policy_plan *p)
{
    for (size_t i = 0; i < p->rejected_count; i++)
        json_object_set_new(json_array_get(hosts, p->rejected[i].index), "why",
                            admin_text(p->rejected[i].why));
    for (size_t i = 0; i < p->host_count; i++) {
        json_t *host = json_array_get(hosts, p->hosts[i].index);

        json_object_set_new(host, "state", json_string("not asked"));
        json_object_set_new(host, "proof",
                            json_string(policy_proof_name(p->hosts[i].proof)));
        json_object_set_new(
            host, "source",
            json_string(policy_source_name(p->hosts[i].source)));
        json_object_set_new(host, "observe", json_boolean(p->hosts[i].observe));
        json_object_set_new(host, "names", names_array(&p->hosts[i].names));
    }
}

/* What a policy would change that is weighed and not enforced here. */
static json_t *
shadow(const struct policy_plan *p)
{
    json_t *list = json_array();

    for (size_t i = 0; i < p->shadow_count; i++) {
        const struct policy_shadow *s = &p->shadow[i];

        json_array_append_new(
            list,
            json_pack("{s:o, s:s, s:s, s:o}", "host", text_or_null(s->name),
                      "policy", policy_source_name(s->source), "would",
                      s->is_refused ? "refuse" : policy_proof_name(s->proof),
                      "why", text_or_null(s->why)));
    }
    return list;
}

static bool
is_host(const struct policy_facts *f, const char *name)
{
    for (size_t i = 0; i < f->host_count; i++)
        if (strcasecmp(f->hosts[i].name, name) == 0)
            return true;
    return false;
}

static void
refuse_host(struct admin_ask *x, const struct policy_facts *f)
{
    struct buf text scoped(buf_free) = {0};

    buf_printf(&text, "%s is no MX host of %s; those are", x->mx,
               x->domain.text);
    for (size_t i = 0; i < f->host_count; i++)
        buf_printf(&text, "%s %s", i > 0 ? "," : "", f->hosts[i].name);
    json_decref(x->found);
    x->found = json_pack("{s:o}", "error", admin_text(buf_text(&text)));
    x->status = 404;
}

static void
planned(void *ctx, const struct probe_view *view)
{
    struct admin_ask *x = ctx;
    const struct policy_facts *f = view->facts;
    json_t *hosts = found_hosts(f);

    add_plan(hosts, view->plan);
    x->found = json_pack(
        "{s:s, s:o, s:s, s:o, s:s, s:b, s:s, s:{s:s, s:o, s:b, s:o}, s:o, s:s, "
        "s:o, s:o, "
        "s:o, s:s}",
        "domain", x->domain.text, "route",
        view->route ? admin_text(view->route->name) : json_null(), "tls",
        policy_level_name(view->inputs->level), "anchors",
        text_or_null(view->inputs->anchors), "dane",
        dane_name(view->inputs->dane), "exempt", view->is_exempt, "dnssec",
        dnssec_way_name(x->worker->dnssec), "mx", "state",
        policy_mx_state_name(f->mx), "why", text_or_null(f->mx_why),
        "authentic", f->mx_authentic, "canonical",
        strcasecmp(f->mx_canonical, f->domain.text) == 0
            ? json_null()
            : text_or_null(f->mx_canonical),
        "mta_sts", sts_object(f), "plan", admin_plan_name(view->plan->verdict),
        "status", admin_plan_status(view->plan), "hosts", hosts, "not_enforced",
        shadow(view->plan), "requiretls",
        view->inputs->may_lose_requiretls ? "opportunistic" : "enforce");
    if (*x->mx && f->host_count > 0 && !is_host(f, x->mx))
        refuse_host(x, f);
}

/* --- the visits --- */

static json_t *
capabilities(const struct smtp_capability *c)
{
    const struct {
        bool has;
        const char *name;
    } rows[] = {
        {c->starttls, "STARTTLS"},
        {c->pipelining, "PIPELINING"},
        {c->size, "SIZE"},
        {c->eightbitmime, "8BITMIME"},
        {c->smtputf8, "SMTPUTF8"},
        {c->chunking, "CHUNKING"},
        {c->dsn, "DSN"},
        {c->enhanced_codes, "ENHANCEDSTATUSCODES"},
        {c->requiretls, "REQUIRETLS"},
        {c->has_auth, "AUTH"},
    };
    json_t *list = json_array();

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (rows[i].has)
            json_array_append_new(list, json_string(rows[i].name));
    return list;
}

static json_t *
chain(const struct net_tls_chain *shown)
{
    json_t *list = json_array();

    for (size_t i = 0; i < shown->count; i++) {
        const struct net_tls_certificate *c = &shown->certificates[i];

        json_array_append_new(
            list,
            json_pack("{s:o, s:o, s:o, s:o}", "subject", admin_text(c->subject),
                      "issuer", admin_text(c->issuer), "not_before",
                      admin_time(c->not_before * 1000), "not_after",
                      admin_time(c->not_after * 1000)));
    }
    return list;
}

static json_t *
matched_record(const struct net_tls_chain *shown)
{
    uint8_t data[sizeof(shown->tlsa.data)];
    struct policy_dane_record r = {
        .usage = shown->tlsa.usage,
        .selector = shown->tlsa.selector,
        .matching = shown->tlsa.matching,
        .data = data,
        .len = shown->tlsa.len,
    };

    if (!shown->tlsa.is_found)
        return json_null();
    memcpy(data, shown->tlsa.data, shown->tlsa.len);
    return record_text(&r);
}

static json_t *
tls_object(const struct visit_report *r)
{
    if (!r->has_tls)
        return json_null();
    return json_pack(
        "{s:o, s:o, s:s, s:o, s:o, s:o, s:o, s:o}", "version",
        text_or_null(r->tls.version), "cipher", text_or_null(r->tls.cipher),
        "verdict", net_tls_verdict_name(r->tls.verdict), "why",
        text_or_null(r->tls.why), "subject", text_or_null(r->tls.subject),
        "matched", text_or_null(r->tls.matched), "matched_tlsa",
        matched_record(&r->chain), "chain", chain(&r->chain));
}

static void
add_report(json_t *host, const struct visit_report *r)
{
    static const char *const states[] = {
        [VISIT_GOOD] = "deliverable",
        [VISIT_REFUSED] = "refused",
        [VISIT_UNKNOWN] = "unknown",
    };
    char address[ADDR_TEXT_SIZE];
    json_t *found = json_pack(
        "{s:s, s:o, s:s, s:s, s:o, s:s, s:b, s:I, s:o, s:o, s:o}", "state",
        states[r->state], "why", text_or_null(r->why), "address",
        addr_text_port(&r->address, address), "step", r->step, "policy",
        text_or_null(r->policy), "proof", policy_proof_name(r->proof),
        "in_clear", r->in_clear, "took_ms", (json_int_t)r->took_ms, "server",
        r->has_greeted ? admin_text(r->capability.name) : json_null(),
        "capabilities",
        r->has_greeted ? capabilities(&r->capability) : json_array(),
        "tls_session", tls_object(r));

    json_object_update(host, found);
    json_decref(found);
}

static void
add_hosts(json_t *hosts, const struct probe_view *view)
{
    for (size_t i = 0; i < view->host_count; i++) {
        const struct probe_host *h = &view->hosts[i];
        json_t *host = json_array_get(hosts, view->plan->hosts[i].index);

        if (h->is_asked) {
            add_report(host, &h->report);
        } else if (h->is_left_out) {
            json_object_set_new(host, "state", json_string("not used"));
            json_object_set_new(
                host, "why",
                json_string("this relay itself, or less preferred than it"));
        }
    }
}

static void
probed(void *ctx, const struct probe_view *view, bool is_late)
{
    static const char *const verdicts[] = {
        [PROBE_DELIVERABLE] = "deliverable",
        [PROBE_UNDELIVERABLE] = "undeliverable",
        [PROBE_UNKNOWN] = "unknown",
    };
    struct admin_ask *x = ctx;

    if (view && !x->status) {
        /* A plan that is no "go" has no visits behind it. */
        if (view->hosts)
            add_hosts(json_object_get(x->found, "hosts"), view);
        json_object_set_new(x->found, "verdict",
                            json_string(verdicts[view->verdict]));
    } else if (is_late) {
        json_decref(x->found);
        x->found = json_pack("{s:s}", "error",
                             "DNS or the policy host gave no answer in time");
        x->status = 504;
    } else if (!view) {
        json_decref(x->found);
        x->found = NULL;
    }
    admin_ask_end(x);
}

/* "mx.example.com." is the same host. */
static void
drop_dot(char *name)
{
    size_t len = strlen(name);

    if (len > 0 && name[len - 1] == '.')
        name[len - 1] = '\0';
}

static void
start(struct admin_ask *x, resolver_fn *done)
{
    static const struct probe_events events = {planned, probed};
    char *address scoped(own_free) =
        mem_printf("postmaster@%s", x->domain.text);

    (void)done;
    if (!probe_may_start(x->worker)) {
        x->found = json_pack("{s:s}", "error", "too many probes are under way");
        x->status = 503;
        admin_ask_end(x);
        return;
    }
    drop_dot(x->mx);
    x->destination =
        router_destination(x->worker->config, x->from, address, x->domain.text);
    probe_start(&x->probe, x->worker, x->destination, *x->mx ? x->mx : NULL,
                &events, x);
}

void
admin_probe(struct relay *relay, struct net_http_request *r, const char *name)
{
    static const struct admin_ask_kind kind = {start, NULL, NULL};

    admin_ask_start(&kind, relay, r, name);
}
