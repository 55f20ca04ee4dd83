/* How old the queue is: a part of the status. */
#include "relay/admin/answer.h"
#include "relay/admin/status_parts.h"

static const int64_t MINUTE_MS = 60 * INT64_C(1000);

static const struct {
    const char *name; /* of those younger than this border */
    int minutes;
} ages[ADMIN_STATUS_AGES - 1] = {{"under_1m", 1},
                                 {"under_10m", 10},
                                 {"under_1h", 60},
                                 {"under_6h", 360},
                                 {"under_1d", 1440}};

bool
admin_status_count_ages(struct queue_store *store, int64_t now_ms,
                        uint64_t out[ADMIN_STATUS_AGES], struct err *err)
{
    int64_t borders[ADMIN_STATUS_AGES - 1];

    for (size_t i = 0; i < ADMIN_STATUS_AGES - 1; i++)
        borders[i] =
            now_ms - ages[ADMIN_STATUS_AGES - 2 - i].minutes * MINUTE_MS;
    return queue_store_ages(store, borders, ADMIN_STATUS_AGES - 1, out, err);
}

json_t *
admin_status_ages(const uint64_t count[ADMIN_STATUS_AGES])
{
    json_t *part = json_object();

    for (size_t i = 0; i < ADMIN_STATUS_AGES - 1; i++)
        json_object_set_new(
            part, ages[i].name,
            json_integer((json_int_t)count[ADMIN_STATUS_AGES - 1 - i]));
    json_object_set_new(part, "older", json_integer((json_int_t)count[0]));
    return part;
}
