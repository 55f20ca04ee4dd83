#include "relay/admin/answer.h"
#include "relay/admin/filter.h"
#include "relay/admin/view.h"
#include "relay/base/id.h"
#include "relay/base/mem.h"

#include <inttypes.h>
#include <stdlib.h>

enum { RECIPIENTS_MAX = 10000 }; /* of one message, shown */

bool
admin_cursor_parse(const char *text, struct queue_cursor *out, struct err *err)
{
    struct slice rest = slice_of(text), id = slice_cut(&rest, '.');
    unsigned long long number = 0;

    *out = (struct queue_cursor){0};
    if (*text == '\0')
        return true;
    if (!id_parse(id, &out->id) || !slice_number(rest, UINT32_MAX, &number))
        return err_set(err, ERR_INPUT, "cursor: not one of ours");
    out->number = (uint32_t)number;
    return true;
}

static json_t *
cursor_text(const struct queue_cursor *c)
{
    char id[ID_TEXT_SIZE];
    char *text scoped(own_free) =
        mem_printf("%s.%" PRIu32, id_text(c->id, id), c->number);

    return json_string(text);
}

static json_t *
recipient(const struct queue_row *row)
{
    return json_pack("{s:I, s:o, s:s, s:o, s:I, s:o, s:o}", "number",
                     (json_int_t)row->number, "to", admin_text(row->to),
                     "state", admin_state_name(row->state), "destination",
                     admin_text(row->destination), "attempts",
                     (json_int_t)row->attempts, "next",
                     admin_time(row->next_ms), "last", admin_text(row->last));
}

static void
add_row(void *ctx, const struct queue_row *row)
{
    json_t *one = recipient(row);
    char id[ID_TEXT_SIZE];

    json_object_set_new(one, "id", json_string(id_text(row->id, id)));
    json_object_set_new(one, "arrived", admin_time(row->arrived_ms));
    json_object_set_new(one, "size", json_integer((json_int_t)row->size));
    json_object_set_new(one, "from", admin_text(row->from));
    json_object_set_new(one, "message_id", admin_text(row->message_id));
    json_object_set_new(one, "origin", admin_text(row->origin));
    json_array_append_new(ctx, one);
}

bool
admin_view_queue_turn(struct queue_store *s, const struct queue_filter *f,
                      struct admin_page *page, struct err *err)
{
    size_t room = ADMIN_PAGE_MAX - json_array_size(page->rows);

    return queue_store_list(s, f, &page->cursor, room, add_row, page->rows,
                            &page->end, err);
}

bool
admin_page_is_whole(const struct admin_page *page)
{
    return page->end || json_array_size(page->rows) == ADMIN_PAGE_MAX;
}

json_t *
admin_page_json(const struct admin_page *page)
{
    return json_pack("{s:O, s:o}", "rows", page->rows, "next",
                     page->end ? json_null() : cursor_text(&page->cursor));
}

bool
admin_view_queue(struct queue_store *s, const struct queue_filter *f,
                 const struct queue_cursor *from, json_t **out, struct err *err)
{
    struct admin_page page = {.rows = json_array(), .cursor = *from};
    bool ok = true;

    while (ok && !admin_page_is_whole(&page))
        ok = admin_view_queue_turn(s, f, &page, err);
    if (ok)
        *out = admin_page_json(&page);
    json_decref(page.rows);
    return ok;
}

/* --- one message --- */

struct message {
    json_t *object, *events;
    uint64_t left_off;
};

static void
tell_message(void *ctx, const struct queue_history_message *m)
{
    struct message *x = ctx;
    char id[ID_TEXT_SIZE];

    x->left_off = m->left_off;
    x->object = json_pack(
        "{s:s, s:o, s:I, s:o, s:o, s:o, s:o}", "id", id_text(m->id, id),
        "arrived", admin_time(m->arrived_ms), "size", (json_int_t)m->size,
        "from", admin_text(m->from), "origin", admin_text(m->origin),
        "message_id", admin_text(m->message_id), "envid", admin_text(m->envid));
}

static json_t *
attempt(const struct queue_attempt *a)
{
    return json_pack(
        "{s:o, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "at",
        admin_time(a->at_ms), "took_ms", (json_int_t)a->took_ms, "host",
        admin_text(a->host), "address", admin_text(a->address), "policy",
        admin_text(a->policy), "proof", admin_text(a->proof), "tls_version",
        admin_text(a->tls_version), "tls_cipher", admin_text(a->tls_cipher),
        "verdict", admin_text(a->verdict), "reply", admin_text(a->reply),
        "step", admin_text(a->step));
}

/* An attempt that led on to the next host has no recipient and no outcome. */
static void
tell_event(void *ctx, const struct queue_attempt *a,
           const struct queue_result *r)
{
    struct message *x = ctx;
    bool has_result = r->address[0] != '\0';

    if (!x->events)
        return;
    json_array_append_new(
        x->events,
        json_pack(
            "{s:o, s:o, s:o, s:o, s:b, s:o}", "to",
            has_result ? admin_text(r->address) : json_null(), "outcome",
            has_result ? json_string(queue_outcome_name(r->outcome))
                       : json_null(),
            "reason", has_result ? admin_text(r->reason) : json_null(), "next",
            has_result && r->outcome == QUEUE_DEFERRED ? admin_time(r->next_ms)
                                                       : json_null(),
            "warned", has_result && r->warned, "attempt",
            a ? attempt(a) : json_null()));
}

static void
add_recipient(void *ctx, const struct queue_row *row)
{
    json_array_append_new(ctx, recipient(row));
}

static bool
view(struct queue_store *s, uint64_t id, bool with_events, json_t **out,
     struct err *err)
{
    struct message x = {.events = with_events ? json_array() : NULL};
    struct queue_filter f = {.id = id};
    struct queue_cursor cursor = {0}; /* one turn is enough for a message */
    json_t *recipients = json_array();
    bool end;

    if (queue_store_history(s, id, tell_message, tell_event, &x, err) &&
        queue_store_list(s, &f, &cursor, RECIPIENTS_MAX, add_recipient,
                         recipients, &end, err)) {
        json_object_set_new(x.object, "recipients", recipients);
        if (x.events) {
            json_object_set_new(x.object, "left_off",
                                json_integer((json_int_t)x.left_off));
            json_object_set_new(x.object, "events", x.events);
        }
        *out = x.object;
        return true;
    }
    json_decref(recipients);
    json_decref(x.events);
    json_decref(x.object);
    return false;
}

bool
admin_view_message(struct queue_store *s, uint64_t id, json_t **out,
                   struct err *err)
{
    return view(s, id, false, out, err);
}

bool
admin_view_trace(struct queue_store *s, uint64_t id, json_t **out,
                 struct err *err)
{
    return view(s, id, true, out, err);
}
