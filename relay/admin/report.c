/* POST /v1/reports/DAY/send: sends the reports of a day now. */
#include "policy/tlsrpt.h"
#include "relay/admin/answer.h"
#include "relay/admin/routes.h"
#include "relay/daemon/tls_report.h"

static void
sent(void *ctx, const struct tls_report_sums *s)
{
    admin_answer_json(ctx, 200,
                      json_pack("{s:I, s:I, s:I}", "sent", (json_int_t)s->sent,
                                "unwanted", (json_int_t)s->unwanted, "failed",
                                (json_int_t)s->failed));
}

void
admin_report_send(struct relay *relay, struct net_http_request *r,
                  const char *name)
{
    int64_t day_ms;

    if (!policy_tlsrpt_day_parse(slice_of(name), &day_ms))
        admin_answer_error(r, 400, "not a day: 2026-11-23");
    else if (!tls_report_send(relay->tls_report, name, sent, r))
        admin_answer_error(r, 503,
                           "reports are being sent already, or can't be now");
}
