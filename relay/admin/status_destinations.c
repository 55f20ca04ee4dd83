/* Where mail goes, and what last happened there: parts of the status. */
#include "relay/admin/answer.h"
#include "relay/admin/status_parts.h"
#include "relay/daemon/dispatch.h"
#include "relay/watch/recent.h"

enum {
    DESTINATIONS_MAX = 20, /* shown of those with work */
    RECENT_SHOWN = 50,
};

/* The busiest destinations so far, blocked ones first. */
struct top {
    struct queue_destination_row row[DESTINATIONS_MAX];
    size_t count, all;
};

static bool
is_before(const struct queue_destination_row *a,
          const struct queue_destination_row *b)
{
    if (!a->blocked_until_ms != !b->blocked_until_ms)
        return a->blocked_until_ms != 0;
    return a->waiting + a->active > b->waiting + b->active;
}

static void
add_destination(void *ctx, const struct queue_destination_row *row)
{
    struct top *t = ctx;
    size_t i;

    t->all++;
    if (t->count < DESTINATIONS_MAX)
        t->count++;
    else if (!is_before(row, &t->row[DESTINATIONS_MAX - 1]))
        return;
    for (i = t->count - 1; i > 0 && is_before(row, &t->row[i - 1]); i--)
        t->row[i] = t->row[i - 1];
    t->row[i] = *row;
}

json_t *
admin_status_destinations(const struct relay *relay)
{
    struct top top = {0};
    json_t *list = json_array();

    queue_scheduler_each(dispatch_scheduler(relay->dispatch), add_destination,
                         &top);
    for (size_t i = 0; i < top.count; i++) {
        const struct queue_destination_row *row = &top.row[i];

        json_array_append_new(
            list, json_pack("{s:o, s:I, s:b, s:i, s:i, s:i, s:o, s:o}", "name",
                            admin_text(row->name), "waiting",
                            (json_int_t)row->waiting, "more", row->more,
                            "active", (int)row->active, "failures",
                            (int)row->failures, "eased", (int)row->eased,
                            "blocked_until", admin_time(row->blocked_until_ms),
                            "why", admin_text(row->why)));
    }
    return json_pack("{s:I, s:o}", "count", (json_int_t)top.all, "top", list);
}

bool
admin_status_count_backlogs(json_t *list, struct queue_store *store,
                            struct err *err)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        json_t *one = json_array_get(list, i);
        uint64_t queued;

        if (!queue_store_backlog(
                store, json_string_value(json_object_get(one, "name")), &queued,
                err))
            return false;
        json_object_set_new(one, "queued", json_integer((json_int_t)queued));
    }
    return true;
}

/* --- what happened --- */

static void
add_recent(void *ctx, const struct recent_row *row)
{
    if (json_array_size(ctx) >= RECENT_SHOWN)
        return;
    json_array_append_new(
        ctx,
        json_pack("{s:o, s:I, s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o,"
                  " s:o}",
                  "name", admin_text(row->destination), "sent",
                  (json_int_t)row->sent, "deferred", (json_int_t)row->deferred,
                  "bounced", (json_int_t)row->bounced, "last",
                  admin_time(row->last_ms), "last_sent",
                  admin_time(row->sent_ms), "last_trouble",
                  admin_time(row->trouble_ms), "trouble",
                  admin_text(row->trouble), "policy", admin_text(row->policy),
                  "proof", admin_text(row->proof), "tls_version",
                  admin_text(row->tls), "verdict", admin_text(row->verdict)));
}

json_t *
admin_status_recent(const struct relay *relay)
{
    json_t *list = json_array();

    recent_each(relay->recent, add_recent, list);
    return list;
}
