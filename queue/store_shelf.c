#include "queue/store_inside.h"

bool
queue_store_shelf_put(struct queue_store *s, const char *shelf, const char *key,
                      struct slice value, int64_t due_ms, struct err *err)
{
    struct db_statement *st = queue_store_use(
        s, QUEUE_ST_SHELF_PUT,
        "INSERT INTO shelf (shelf, key, value, due_ms) VALUES (?, ?, ?, ?)"
        " ON CONFLICT DO UPDATE SET value = excluded.value,"
        " due_ms = excluded.due_ms");

    db_bind_text(st, 1, shelf);
    db_bind_text(st, 2, key);
    db_bind_blob(st, 3, value);
    db_bind_int(st, 4, due_ms);
    return db_run(st, err);
}

bool
queue_store_shelf_get(struct queue_store *s, const char *shelf, const char *key,
                      struct buf *value, struct err *err)
{
    struct db_statement *st =
        queue_store_use(s, QUEUE_ST_SHELF_GET,
                        "SELECT value FROM shelf WHERE shelf = ? AND key = ?");
    bool row;

    db_bind_text(st, 1, shelf);
    db_bind_text(st, 2, key);
    if (!db_step(st, &row, err))
        return false;
    if (row)
        buf_add(value, db_blob(st, 0));
    db_reset(st);
    return row || err_set(err, ERR_MISSING, "nothing is stored for %s", key);
}

bool
queue_store_shelf_drop(struct queue_store *s, const char *shelf,
                       const char *key, struct err *err)
{
    struct db_statement *st =
        queue_store_use(s, QUEUE_ST_SHELF_DROP,
                        "DELETE FROM shelf WHERE shelf = ? AND key = ?");

    db_bind_text(st, 1, shelf);
    db_bind_text(st, 2, key);
    return db_run(st, err);
}

/* Whoever wants all of a shelf reads it in the order of its keys; whoever
 * wants the few that are due does not pay for the others. */
static struct db_statement *
shelf_query(struct queue_store *s, int64_t due_ms)
{
    if (due_ms == INT64_MAX)
        return queue_store_use(s, QUEUE_ST_SHELF_ALL,
                               "SELECT key, value FROM shelf"
                               " WHERE shelf = ?1 AND key > ?2 AND due_ms <= ?3"
                               " ORDER BY key LIMIT ?4");
    return queue_store_use(s, QUEUE_ST_SHELF_DUE,
                           "SELECT key, value FROM shelf INDEXED BY shelf_due"
                           " WHERE shelf = ?1 AND key > ?2 AND due_ms <= ?3"
                           " ORDER BY key LIMIT ?4");
}

bool
queue_store_shelf_list(struct queue_store *s, const char *shelf,
                       const char *after, int64_t due_ms, size_t max,
                       queue_shelf_fn *row, void *ctx, struct err *err)
{
    struct db_statement *st = shelf_query(s, due_ms);
    bool more;

    db_bind_text(st, 1, shelf);
    db_bind_text(st, 2, after);
    db_bind_int(st, 3, due_ms);
    db_bind_int(st, 4, (int64_t)max);
    for (;;) {
        const char *key;

        if (!db_step(st, &more, err))
            return false;
        if (!more)
            break;
        key = db_text(st, 0);
        row(ctx, key ? key : "", db_blob(st, 1));
    }
    db_reset(st);
    return true;
}

bool
queue_store_shelf_count(struct queue_store *s, const char *shelf,
                        uint64_t *count, struct err *err)
{
    struct db_statement *st =
        queue_store_use(s, QUEUE_ST_SHELF_COUNT,
                        "SELECT count(*) FROM shelf INDEXED BY shelf_due"
                        " WHERE shelf = ?");
    bool row;

    db_bind_text(st, 1, shelf);
    if (!db_step(st, &row, err))
        return false;
    *count = row ? (uint64_t)db_int(st, 0) : 0;
    db_reset(st);
    return true;
}
