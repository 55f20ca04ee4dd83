#include "relay/admin/answer.h"
#include "relay/admin/view.h"
#include "relay/base/id.h"

static void
add_found(void *ctx, const struct queue_found *m)
{
    char id[ID_TEXT_SIZE];

    json_array_append_new(
        ctx, json_pack(
                 "{s:s, s:o, s:I, s:o, s:o, s:o, s:I, s:I, s:I}", "id",
                 id_text(m->id, id), "arrived", admin_time(m->arrived_ms),
                 "size", (json_int_t)m->size, "from", admin_text(m->from), "to",
                 admin_text(m->to), "message_id", admin_text(m->message_id),
                 "waiting", (json_int_t)m->waiting, "delivered",
                 (json_int_t)m->delivered, "failed", (json_int_t)m->failed));
}

bool
admin_view_search(struct queue_store *s, const char *address, uint64_t before,
                  json_t **out, struct err *err)
{
    json_t *list = json_array();
    char id[ID_TEXT_SIZE];
    bool end;

    if (!queue_store_search(s, address, ADMIN_FOUND_MAX, add_found, list,
                            &before, &end, err)) {
        json_decref(list);
        return false;
    }
    *out = json_pack("{s:o, s:o}", "messages", list, "next",
                     end ? json_null() : json_string(id_text(before, id)));
    return true;
}
