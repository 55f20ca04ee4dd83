#include "queue/store_inside.h"

enum { PURGED_AT_ONCE = 2 };

/* Numbers grow with time, so the first rows are the oldest.  With two of them
 * looked at for each that comes, what is over goes by and by. */
static bool
purge(struct queue_store *s, int64_t now_ms, struct err *err)
{
    struct db_statement *st =
        queue_store_use(s, QUEUE_ST_RECEIPT_PURGE,
                        "DELETE FROM receipt WHERE number IN"
                        " (SELECT number FROM receipt ORDER BY number LIMIT ?1)"
                        " AND (at_ms < ?2 OR number <= (SELECT max(number) "
                        "FROM receipt) - ?3)");

    db_bind_int(st, 1, PURGED_AT_ONCE);
    db_bind_int(st, 2, now_ms - QUEUE_RECEIPT_MS);
    db_bind_int(st, 3, QUEUE_RECEIPTS_MAX);
    return db_run(st, err);
}

/* One that was good no more may still be there. */
bool
queue_store_receipt_put(struct queue_store *s, const struct queue_message *m,
                        struct err *err)
{
    struct db_statement *st = queue_store_use(
        s, QUEUE_ST_RECEIPT_PUT,
        "INSERT OR REPLACE INTO receipt (key, digest, message, at_ms)"
        " VALUES (?, ?, ?, ?)");

    db_bind_text(st, 1, m->receipt->key);
    db_bind_blob(st, 2,
                 (struct slice){(const char *)m->receipt->digest,
                                sizeof(m->receipt->digest)});
    db_bind_int(st, 3, (int64_t)m->id);
    db_bind_int(st, 4, m->arrived_ms);
    return db_run(st, err) && purge(s, m->arrived_ms, err);
}

bool
queue_store_receipt_find(struct queue_store *s, const char *key, int64_t now_ms,
                         uint64_t *message, struct queue_receipt *out,
                         struct err *err)
{
    struct db_statement *st =
        queue_store_use(s, QUEUE_ST_RECEIPT_GET,
                        "SELECT key, digest, message FROM receipt"
                        " WHERE key = ? AND at_ms >= ?");
    struct slice digest;
    bool row, is_found;

    db_bind_text(st, 1, key);
    db_bind_int(st, 2, now_ms - QUEUE_RECEIPT_MS);
    if (!db_step(st, &row, err))
        return false;
    digest = row ? db_blob(st, 1) : (struct slice){0};
    is_found =
        digest.len == sizeof(out->digest) && strlen(key) < sizeof(out->key);
    if (is_found) {
        memcpy(out->key, key, strlen(key) + 1);
        memcpy(out->digest, digest.p, digest.len);
        *message = (uint64_t)db_int(st, 2);
    }
    db_reset(st);
    return is_found || err_set(err, ERR_MISSING, "no such receipt");
}
