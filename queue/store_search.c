#include "queue/store_inside.h"

#include "relay/base/id.h"

/* --- how much, how old, where --- */

bool
queue_store_ages(struct queue_store *s, const int64_t *borders_ms, size_t count,
                 uint64_t *out, struct err *err)
{
    for (size_t i = 0; i <= count; i++) {
        /* The oldest first: identifiers say when a message came. */
        uint64_t from = i > 0 ? id_at(borders_ms[i - 1]) : 0;
        uint64_t to = i < count ? id_at(borders_ms[i]) : (uint64_t)INT64_MAX;
        struct db_statement *st =
            queue_store_use(s, QUEUE_ST_AGES,
                            "SELECT count(*) FROM (SELECT 1 FROM recipient"
                            " WHERE message >= ?1 AND message < ?2 LIMIT ?3)");
        bool row;

        db_bind_int(st, 1, (int64_t)from);
        db_bind_int(st, 2, (int64_t)to);
        db_bind_int(st, 3, QUEUE_COUNTED_MAX);
        if (!db_step(st, &row, err))
            return false;
        out[i] = row ? (uint64_t)db_int(st, 0) : 0;
        db_reset(st);
    }
    return true;
}

bool
queue_store_backlog(struct queue_store *s, const char *destination,
                    uint64_t *out, struct err *err)
{
    struct db_statement *st =
        queue_store_use(s, QUEUE_ST_BACKLOG,
                        "SELECT count(*) FROM (SELECT 1 FROM recipient"
                        " WHERE destination = ?1 LIMIT ?2)");
    bool row;

    db_bind_text(st, 1, destination);
    db_bind_int(st, 2, QUEUE_COUNTED_MAX);
    if (!db_step(st, &row, err))
        return false;
    *out = row ? (uint64_t)db_int(st, 0) : 0;
    db_reset(st);
    return true;
}

/* --- messages by address, finished ones too --- */

/* What is left of a message and what became of the rest. */
static bool
sum_up(struct queue_store *s, struct queue_found *m, uint64_t *cost,
       struct err *err)
{
    struct db_statement *st = queue_store_use(
        s, QUEUE_ST_SUM_UP,
        "SELECT (SELECT count(*) FROM recipient WHERE message = ?1),"
        " count(*) FILTER (WHERE outcome = ?2),"
        " count(*) FILTER (WHERE outcome IN (?3, ?4))"
        " FROM attempt WHERE message = ?1 AND rcpt IS NOT NULL");
    bool row;

    db_bind_int(st, 1, (int64_t)m->id);
    db_bind_int(st, 2, QUEUE_DELIVERED);
    db_bind_int(st, 3, QUEUE_FAILED);
    db_bind_int(st, 4, QUEUE_EXPIRED);
    if (!db_step(st, &row, err))
        return false;
    m->waiting = row ? (uint64_t)db_int(st, 0) : 0;
    m->delivered = row ? (uint64_t)db_int(st, 1) : 0;
    m->failed = row ? (uint64_t)db_int(st, 2) : 0;
    *cost += db_cost(st);
    db_reset(st);
    return true;
}

/* Tells of a message with one of its recipients: one that was asked for, if
 * any was. */
static bool
tell_found(struct queue_store *s, struct queue_found *m, const char *address,
           queue_found_fn *found, void *ctx, uint64_t *cost, struct err *err)
{
    struct db_statement *st = queue_store_use(
        s, QUEUE_ST_FOUND_RCPT,
        "SELECT rcpt FROM (SELECT address AS rcpt FROM recipient"
        "  WHERE message = ?1 UNION ALL SELECT rcpt FROM attempt"
        "  WHERE message = ?1 AND rcpt IS NOT NULL)"
        " ORDER BY ?2 IS NULL OR substr(rcpt, -length(?2)) <> ?2"
        "  COLLATE NOCASE LIMIT 1");
    bool row;

    if (!sum_up(s, m, cost, err))
        return false;
    db_bind_int(st, 1, (int64_t)m->id);
    db_bind_text(st, 2, address);
    if (!db_step(st, &row, err))
        return false;
    m->to = row ? db_text(st, 0) : NULL;
    *cost += db_cost(st);
    found(ctx, m);
    db_reset(st);
    return true;
}

/* Where the text is an "@domain" everybody there is meant. */
#define SEARCH_IS(column)                                                      \
    "(" column " = ?3 COLLATE NOCASE OR ?3 LIKE '@%'"                          \
    " AND substr(" column ", -length(?3)) = ?3 COLLATE NOCASE)"

static struct db_statement *
search_begin(struct queue_store *s, const char *address, uint64_t before)
{
    struct db_statement *st = queue_store_use(
        s, QUEUE_ST_SEARCH,
        "SELECT id, arrived_ms, size, sender, message_id,"
        " ?3 IS NULL OR " SEARCH_IS(
            "sender") " OR EXISTS (SELECT 1 FROM recipient WHERE message = id "
                      "AND " SEARCH_IS("address") ")"
                                                  " OR EXISTS (SELECT 1 FROM "
                                                  "attempt WHERE message = id "
                                                  "AND " SEARCH_IS(
                                                      "rcpt") ")"
                                                              " FROM message "
                                                              "WHERE id < ?1 "
                                                              "ORDER BY id "
                                                              "DESC LIMIT ?2");

    db_bind_int(st, 1, before ? (int64_t)(before & INT64_MAX) : INT64_MAX);
    db_bind_int(st, 2, QUEUE_SEARCH_MAX);
    db_bind_text(st, 3, address);
    return st;
}

bool
queue_store_search(struct queue_store *s, const char *address, size_t max,
                   queue_found_fn *found, void *ctx, uint64_t *before,
                   bool *end, struct err *err)
{
    struct db_statement *st = search_begin(s, address, *before);
    size_t seen = 0, count = 0;
    uint64_t cost = 0;
    bool row = true;

    while (count < max && row && cost < QUEUE_SEARCH_COST_MAX) {
        struct queue_found m = {0};

        if (!db_step(st, &row, err))
            return false;
        if (!row)
            break;
        seen++;
        cost += db_cost(st);
        m.id = *before = (uint64_t)db_int(st, 0);
        m.arrived_ms = db_int(st, 1);
        m.size = (uint64_t)db_int(st, 2);
        m.from = db_text(st, 3);
        m.message_id = db_text(st, 4);
        if (db_int(st, 5) == 0)
            continue;
        count++;
        if (!tell_found(s, &m, address, found, ctx, &cost, err)) {
            db_reset(st);
            return false;
        }
    }
    db_reset(st);
    *end = !row && seen < QUEUE_SEARCH_MAX;
    return true;
}
