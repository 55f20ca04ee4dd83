/* What policies do to mail: parts of the status. */
#include "relay/admin/answer.h"
#include "relay/admin/status_parts.h"
#include "relay/daemon/cert_watch.h"
#include "relay/daemon/expiring.h"
#include "relay/net/timer.h"
#include "relay/watch/refusals.h"

static void
add_refusal(void *ctx, const struct refusals_row *row)
{
    json_t *list = ctx;

    json_array_append_new(
        list,
        json_pack("{s:o, s:s, s:s, s:b, s:I, s:o, s:o}", "destination",
                  admin_text(row->destination), "policy",
                  policy_source_name(row->policy), "reason",
                  policy_cause_name(row->cause), "enforced", !row->is_shadow,
                  "count", (json_int_t)row->count, "last",
                  admin_time(row->last_ms), "text", admin_text(row->text)));
}

json_t *
admin_status_refusals(const struct relay *relay)
{
    json_t *list = json_array();

    refusals_each(relay->refusals, add_refusal, list);
    return list;
}

json_t *
admin_status_expiring(const struct relay *relay)
{
    size_t n;
    const struct expiring_row *rows = expiring_rows(relay->expiring, &n);
    json_t *list = json_array();

    for (size_t i = 0; i < n; i++)
        json_array_append_new(
            list,
            json_pack("{s:o, s:o, s:o}", "domain", admin_text(rows[i].domain),
                      "expires", admin_time(rows[i].expires_ms), "failure",
                      admin_text(rows[i].failure)));
    return json_pack("{s:I, s:o}", "count",
                     (json_int_t)expiring_count(relay->expiring), "policies",
                     list);
}

json_t *
admin_status_exemptions(const struct relay *relay)
{
    const struct config *c = relay->config;
    json_t *list = json_array();

    for (size_t i = 0; i < c->domain_count; i++) {
        const struct config_domain *d = &c->domain[i];

        if (d->is_exemption && d->until_ms > net_clock_wall())
            json_array_append_new(list,
                                  json_pack("{s:o, s:o, s:o}", "domain",
                                            admin_text(d->name), "reason",
                                            admin_text(d->reason), "until",
                                            admin_time(d->until_ms)));
    }
    return list;
}

json_t *
admin_status_certificates(const struct relay *relay)
{
    const struct server_tls_facts *facts = cert_watch_facts(relay->cert_watch);
    json_t *list = json_array();

    for (size_t i = 0; i < facts->count; i++)
        json_array_append_new(
            list,
            json_pack("{s:o, s:o}", "file", admin_text(facts->end[i].file),
                      "expires", admin_time(facts->end[i].not_after * 1000)));
    return list;
}
