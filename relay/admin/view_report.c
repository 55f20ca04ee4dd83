#include "relay/admin/view.h"

#include "policy/tlsrpt.h"
#include "relay/admin/answer.h"
#include "relay/base/mem.h"
#include "relay/daemon/tls_result.h"

#include <stdlib.h>

static json_t *
report_object(const char *key, const struct policy_tlsrpt_sums *sums)
{
    struct slice domain = slice_of(key);
    scoped(own_free) char *day = mem_copy(slice_cut(&domain, ' '));
    scoped(own_free) char *name = mem_copy(domain);

    return json_pack("{s:o, s:o, s:I, s:I}", "day", admin_text(day), "domain",
                     admin_text(name), "succeeded", (json_int_t)sums->succeeded,
                     "failed", (json_int_t)sums->failed);
}

struct page {
    json_t *list;
    size_t rows;
    char *last;
};

static void
add_entry(void *ctx, const char *key, struct slice value)
{
    struct page *page = ctx;
    struct policy_tlsrpt_sums sums;
    struct err err;

    page->rows++;
    free(page->last);
    page->last = mem_text(key);
    if (policy_tlsrpt_sum(value, &sums, &err))
        json_array_append_new(page->list, report_object(key, &sums));
}

bool
admin_view_reports(struct queue_store *s, const char *after, json_t **out,
                   struct err *err)
{
    struct page page = {.list = json_array()};
    bool ok = queue_store_shelf_list(s, TLS_RESULT_SHELF, after, INT64_MAX,
                                     ADMIN_PAGE_MAX, add_entry, &page, err);

    if (ok)
        *out = json_pack("{s:O, s:o}", "reports", page.list, "next",
                         page.rows < ADMIN_PAGE_MAX ? json_null()
                                                    : admin_text(page.last));
    json_decref(page.list);
    free(page.last);
    return ok;
}

bool
admin_view_report(struct queue_store *s, const char *key, json_t **out,
                  struct err *err)
{
    struct buf value scoped(buf_free) = {0};
    struct policy_tlsrpt_sums sums;

    if (!queue_store_shelf_get(s, TLS_RESULT_SHELF, key, &value, err) ||
        !policy_tlsrpt_sum(buf_slice(&value), &sums, err))
        return false;
    *out = report_object(key, &sums);
    json_object_set_new(*out, "policies",
                        json_loadb(value.p, value.len, 0, NULL));
    return true;
}
