/* Webhooks: their part of the status, and of the numbers. */
#include "relay/daemon/webhooks.h"
#include "relay/admin/answer.h"
#include "relay/admin/metrics.h"
#include "relay/admin/status_parts.h"

static void
add_object(void *ctx, const struct webhook_state *s)
{
    json_t *list = ctx;

    json_array_append_new(list, json_pack("{s:o, s:s, s:I, s:i, s:o, s:o, s:o}",
                                          "name", admin_text(s->name), "state",
                                          s->failures > 0 ? "failing" : "ok",
                                          "backlog", (json_int_t)s->backlog,
                                          "failures", (int)s->failures, "why",
                                          admin_text(s->why), "next_attempt",
                                          admin_time(s->next_ms), "last_told",
                                          admin_time(s->told_ms)));
}

json_t *
admin_status_webhooks(const struct relay *relay)
{
    json_t *list = json_array();

    webhooks_each(relay->webhooks, add_object, list);
    return list;
}

static const struct metric_family backlog = {"sealpost_webhook_backlog",
                                             "Events that wait to be told.",
                                             METRIC_GAUGE,
                                             {"webhook"}};

static void
add_backlog(void *ctx, const struct webhook_state *s)
{
    metric_page_sample(ctx, &backlog, (const char *const[]){s->name},
                       (double)s->backlog);
}

void
admin_webhooks_gauges(struct metric_page *page, const struct relay *relay)
{
    metric_page_family(page, &backlog);
    webhooks_each(relay->webhooks, add_backlog, page);
}
