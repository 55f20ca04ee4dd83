#include "relay/admin/answer.h"
#include "relay/admin/view.h"
#include "relay/daemon/expiring.h"
#include "relay/daemon/sts_shelf.h"
#include "relay/net/timer.h"

static void
add_policy(json_t *object, const struct policy_sts_entry *e)
{
    struct policy_sts policy;
    struct err err;
    json_t *mx;

    if (!e->text || !policy_sts_parse(slice_of(e->text), &policy, &err)) {
        json_object_set_new(object, "mode", json_null());
        return;
    }
    mx = json_array();
    for (size_t i = 0; i < policy.mx_count; i++)
        json_array_append_new(mx, admin_text(policy.mx[i]));
    json_object_set_new(object, "mode",
                        json_string(policy_sts_mode_name(policy.mode)));
    json_object_set_new(object, "max_age_s", json_integer(policy.max_age_s));
    json_object_set_new(object, "mx", mx);
    policy_sts_done(&policy);
}

json_t *
admin_view_entry(const struct policy_sts_entry *e)
{
    json_t *object = json_pack(
        "{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:b}", "domain",
        admin_text(e->domain.text), "id", admin_text(e->id), "fetched",
        admin_time(e->fetched_ms), "expires", admin_time(e->expires_ms), "used",
        admin_time(e->used_ms), "checked", admin_time(e->checked_ms), "failure",
        admin_text(e->failure), "failed_id",
        *e->failed_id ? admin_text(e->failed_id) : json_null(), "retry_after",
        admin_time(e->backoff_ms), "expiring",
        expiring_is_soon(e, net_clock_steady()));

    add_policy(object, e);
    return object;
}

struct page {
    json_t *list;
    size_t rows;
    char last[MAIL_DOMAIN_MAX + 1];
};

static void
add_entry(void *ctx, const char *domain, struct slice value)
{
    struct page *page = ctx;
    struct policy_sts_entry entry = {0};
    struct err err;

    page->rows++;
    (void)snprintf(page->last, sizeof(page->last), "%s", domain);
    if (!sts_shelf_parse(domain, value, &entry, &err))
        return;
    json_array_append_new(page->list, admin_view_entry(&entry));
    policy_sts_entry_done(&entry);
}

bool
admin_view_policies(struct queue_store *s, const char *after, json_t **out,
                    struct err *err)
{
    struct page page = {.list = json_array()};

    if (!queue_store_shelf_list(s, STS_SHELF, after, INT64_MAX, ADMIN_PAGE_MAX,
                                add_entry, &page, err)) {
        json_decref(page.list);
        return false;
    }
    *out = json_pack("{s:o, s:o}", "policies", page.list, "next",
                     page.rows < ADMIN_PAGE_MAX ? json_null()
                                                : json_string(page.last));
    return true;
}

bool
admin_view_policy(struct queue_store *s, const char *domain, json_t **out,
                  struct err *err)
{
    struct buf value scoped(buf_free) = {0};
    struct policy_sts_entry entry = {0};

    if (!queue_store_shelf_get(s, STS_SHELF, domain, &value, err) ||
        !sts_shelf_parse(domain, buf_slice(&value), &entry, err))
        return false;
    *out = admin_view_entry(&entry);
    json_object_set_new(*out, "text", admin_lines(entry.text));
    policy_sts_entry_done(&entry);
    return true;
}
