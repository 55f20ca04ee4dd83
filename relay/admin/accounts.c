#include "relay/admin/accounts.h"

#include "relay/admin/answer.h"
#include "relay/daemon/account.h"

static void
add_object(void *ctx, const struct account_row *row)
{
    json_array_append_new(
        ctx, json_pack("{s:o, s:o, s:s, s:o, s:b, s:o}", "route",
                       admin_text(row->route), "user", admin_text(row->user),
                       "state", account_state_name(row->state), "why",
                       admin_text(row->why), "has_token", row->has_token,
                       "expires", admin_time(row->expires_ms)));
}

json_t *
admin_accounts(const struct relay *relay)
{
    json_t *list = json_array();

    accounts_each(relay->accounts, add_object, list);
    return list;
}

static const struct metric_family expiry = {
    "sealpost_oauth_token_expiry_timestamp_seconds",
    "When the access token of a route expires; 0 when it has none.",
    METRIC_GAUGE,
    {"route"}};

static void
add_expiry(void *ctx, const struct account_row *row)
{
    const char *const labels[] = {row->route};

    if (row->has_token)
        metric_page_sample(ctx, &expiry, labels,
                           (double)row->expires_ms / 1000);
}

void
admin_accounts_gauges(struct metric_page *page, const struct relay *relay)
{
    metric_page_family(page, &expiry);
    accounts_each(relay->accounts, add_expiry, page);
}
