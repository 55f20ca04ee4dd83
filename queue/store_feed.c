#include "queue/store_inside.h"

#include "relay/base/mem.h"

#include <string.h>

/* --- what goes in --- */

static bool
put(struct queue_store *s, const char *name, const struct queue_settlement *x,
    int64_t sequence, struct err *err)
{
    struct db_statement *st = queue_store_use(
        s, QUEUE_ST_FEED_PUT,
        "INSERT INTO feed (name, number, message, sequence, at_ms)"
        " VALUES (?, ?, ?, ?, ?)");

    db_bind_text(st, 1, name);
    db_bind_int(st, 2, (int64_t)++s->tally.fed);
    db_bind_int(st, 3, (int64_t)x->id);
    db_bind_int(st, 4, sequence);
    db_bind_int(st, 5, x->now_ms);
    return db_run(st, err);
}

bool
queue_store_feed_put(struct queue_store *s, const struct queue_settlement *x,
                     const struct queue_result *r, int64_t sequence,
                     struct err *err)
{
    for (size_t i = 0; r->feeds && r->feeds[i]; i++)
        if (!put(s, r->feeds[i], x, sequence, err))
            return false;
    return true;
}

/* --- what comes out --- */

static struct queue_history_message
message_of(struct db_statement *st)
{
    const char *from = db_text(st, 5);

    return (struct queue_history_message){
        .id = (uint64_t)db_int(st, 1),
        .arrived_ms = db_int(st, 3),
        .size = (uint64_t)db_int(st, 4),
        .from = from ? from : "",
        .origin = db_text(st, 6),
        .message_id = db_text(st, 7),
        .envid = db_text(st, 8),
    };
}

static void
tell(struct db_statement *st, queue_feed_fn *row, void *ctx)
{
    struct queue_result r;
    struct queue_attempt a;
    struct queue_feed_row out = {
        .number = (uint64_t)db_int(st, 0),
        .sequence = (uint32_t)db_int(st, 2),
        .message = message_of(st),
        .at_ms = db_int(st, 9),
        .result = &r,
    };

    out.attempt = queue_store_history_row(st, 10, &r, &a) ? &a : NULL;
    row(ctx, &out);
}

bool
queue_store_feed_list(struct queue_store *s, const char *name, uint64_t last,
                      size_t max, queue_feed_fn *row, void *ctx,
                      struct err *err)
{
    struct db_statement *st = queue_store_use(
        s, QUEUE_ST_FEED_LIST,
        "SELECT f.number, f.message, f.sequence, m.arrived_ms, m.size,"
        " m.sender, m.origin, m.message_id, m.envid, "
        "f.at_ms, " QUEUE_HISTORY_COLUMNS
        " FROM feed AS f CROSS JOIN message AS m ON m.id = f.message"
        " CROSS JOIN attempt AS a ON a.message = f.message"
        " AND a.sequence = f.sequence"
        " WHERE f.name = ?1 AND f.number <= ?2 ORDER BY f.number LIMIT ?3");
    bool more;

    db_bind_text(st, 1, name);
    db_bind_int(st, 2, last < INT64_MAX ? (int64_t)last : INT64_MAX);
    db_bind_int(st, 3, (int64_t)max);
    for (;;) {
        if (!db_step(st, &more, err))
            return false;
        if (!more)
            break;
        tell(st, row, ctx);
    }
    db_reset(st);
    return true;
}

bool
queue_store_feed_count(struct queue_store *s, const char *name, uint64_t *count,
                       struct err *err)
{
    struct db_statement *st = queue_store_use(
        s, QUEUE_ST_FEED_COUNT, "SELECT count(*) FROM feed WHERE name = ?");
    bool row;

    db_bind_text(st, 1, name);
    if (!db_step(st, &row, err))
        return false;
    *count = row ? (uint64_t)db_int(st, 0) : 0;
    db_reset(st);
    return true;
}

/* --- what is over --- */

bool
queue_store_feed_drop(struct queue_store *s, const char *name, uint64_t last,
                      struct err *err)
{
    struct db_statement *st =
        queue_store_use(s, QUEUE_ST_FEED_DROP,
                        "DELETE FROM feed WHERE name = ? AND number <= ?");

    db_bind_text(st, 1, name);
    db_bind_int(st, 2, last < INT64_MAX ? (int64_t)last : INT64_MAX);
    return db_run(st, err);
}

static bool
trim(struct queue_store *s, struct db_statement *st, const char *name,
     int64_t limit, uint64_t *count, struct err *err)
{
    db_bind_text(st, 1, name);
    db_bind_int(st, 2, limit);
    if (!db_run(st, err))
        return false;
    *count += (uint64_t)db_changes(s->db);
    return true;
}

/* Rows come in the order of time, but for a clock that was set. */
bool
queue_store_feed_trim(struct queue_store *s, const char *name,
                      int64_t before_ms, uint64_t rows_max, uint64_t *count,
                      struct err *err)
{
    struct db_statement *aged = queue_store_use(
        s, QUEUE_ST_FEED_AGED,
        "DELETE FROM feed WHERE name = ?1 AND number < coalesce((SELECT number"
        " FROM feed WHERE name = ?1 AND at_ms >= ?2 ORDER BY number LIMIT 1),"
        " 9223372036854775807)");
    struct db_statement *beyond = queue_store_use(
        s, QUEUE_ST_FEED_BEYOND,
        "DELETE FROM feed WHERE name = ?1 AND number <= (SELECT number"
        " FROM feed WHERE name = ?1 ORDER BY number DESC LIMIT 1 OFFSET ?2)");

    *count = 0;
    return trim(s, aged, name, before_ms, count, err) &&
           trim(s, beyond, name, (int64_t)rows_max, count, err);
}

static bool
is_kept(const char *name, char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

static bool
next_name(struct queue_store *s, const char *after, char **name,
          struct err *err)
{
    struct db_statement *st = queue_store_use(
        s, QUEUE_ST_FEED_NAMES,
        "SELECT name FROM feed WHERE name > ? ORDER BY name LIMIT 1");
    bool row;

    db_bind_text(st, 1, after);
    if (!db_step(st, &row, err))
        return false;
    *name = row ? mem_text(db_text(st, 0)) : NULL;
    db_reset(st);
    return true;
}

bool
queue_store_feed_keep(struct queue_store *s, char *const *names, size_t count,
                      struct err *err)
{
    char *name scoped(own_free) = mem_text("");

    for (;;) {
        char *last scoped(own_free) = take(&name);

        if (!next_name(s, last, &name, err))
            return false;
        if (!name)
            return true;
        if (!is_kept(name, names, count) &&
            !queue_store_feed_drop(s, name, INT64_MAX, err))
            return false;
    }
}
