/* GET /v1/history: the last hour, a list for each number. */
#include "relay/daemon/history.h"

#include "relay/admin/answer.h"
#include "relay/admin/routes.h"

enum column {
    COLUMN_ACCEPTED,
    COLUMN_REFUSED,
    COLUMN_SENT,
    COLUMN_DEFERRED,
    COLUMN_BOUNCED,
    COLUMN_DELAY_P50,
    COLUMN_DELAY_P95,
    COLUMN_DELAY_P99,
    COLUMN_QUEUED,
    COLUMN_ACTIVE,
    COLUMN_WAITING,
    COLUMN_HELD,
    COLUMNS
};

static const char *const names[COLUMNS] = {
    [COLUMN_ACCEPTED] = "accepted",
    [COLUMN_REFUSED] = "refused",
    [COLUMN_SENT] = "sent",
    [COLUMN_DEFERRED] = "deferred",
    [COLUMN_BOUNCED] = "bounced",
    [COLUMN_DELAY_P50] = "delay_p50_ms",
    [COLUMN_DELAY_P95] = "delay_p95_ms",
    [COLUMN_DELAY_P99] = "delay_p99_ms",
    [COLUMN_QUEUED] = "queue_queued",
    [COLUMN_ACTIVE] = "queue_active",
    [COLUMN_WAITING] = "queue_deferred",
    [COLUMN_HELD] = "queue_held",
};

struct lists {
    json_t *at, *column[COLUMNS];
};

static json_t *
duration(int64_t ms)
{
    return ms < 0 ? json_null() : json_integer((json_int_t)ms);
}

static void
add_sample(void *ctx, const struct history_sample *s)
{
    struct lists *x = ctx;
    const uint64_t *state = s->queue.by_state;
    const uint64_t numbers[COLUMNS] = {
        [COLUMN_ACCEPTED] = s->count[HISTORY_ACCEPTED],
        [COLUMN_REFUSED] = s->count[HISTORY_REFUSED],
        [COLUMN_SENT] = s->count[HISTORY_SENT],
        [COLUMN_DEFERRED] = s->count[HISTORY_DEFERRED],
        [COLUMN_BOUNCED] = s->count[HISTORY_BOUNCED],
        [COLUMN_QUEUED] = state[QUEUE_STATE_QUEUED],
        [COLUMN_ACTIVE] = state[QUEUE_STATE_ACTIVE],
        [COLUMN_WAITING] = state[QUEUE_STATE_DEFERRED],
        [COLUMN_HELD] = state[QUEUE_STATE_HELD],
    };
    const int64_t delays[] = {s->minute.p50_ms, s->minute.p95_ms,
                              s->minute.p99_ms};

    json_array_append_new(x->at, admin_time(s->at_ms));
    for (size_t i = 0; i < COLUMNS; i++) {
        bool is_delay = i >= COLUMN_DELAY_P50 && i <= COLUMN_DELAY_P99;

        json_array_append_new(x->column[i],
                              is_delay ? duration(delays[i - COLUMN_DELAY_P50])
                                       : json_integer((json_int_t)numbers[i]));
    }
}

void
admin_history(struct relay *relay, struct net_http_request *r, const char *name)
{
    struct history_delay hour = history_hour(relay->history);
    struct lists x = {.at = json_array()};
    json_t *whole = json_pack(
        "{s:i, s:{s:I, s:o, s:o, s:o}}", "step_s", HISTORY_STEP_MS / 1000,
        "hour", "delivered", (json_int_t)hour.count, "delay_p50_ms",
        duration(hour.p50_ms), "delay_p95_ms", duration(hour.p95_ms),
        "delay_p99_ms", duration(hour.p99_ms));

    (void)name;
    json_object_set_new(whole, "at", x.at);
    for (size_t i = 0; i < COLUMNS; i++) {
        x.column[i] = json_array();
        json_object_set_new(whole, names[i], x.column[i]);
    }
    history_each(relay->history, add_sample, &x);
    admin_answer_json(r, 200, whole);
}
