#include "queue/store_inside.h"

/* *from: the sequence of the first row to be told. */
static bool
tell_message(struct queue_store *s, uint64_t id,
             queue_history_message_fn *message, void *ctx, int64_t *from,
             struct err *err)
{
    struct db_statement *st =
        queue_store_use(s, QUEUE_ST_HISTORY_MESSAGE,
                        "SELECT arrived_ms, size, sender, origin, message_id,"
                        " envid, max(0, coalesce((SELECT max(sequence) FROM"
                        " attempt WHERE message = ?1) + 1 - ?2, 0))"
                        " FROM message WHERE id = ?1");
    struct queue_history_message m = {.id = id};
    bool row;

    db_bind_int(st, 1, (int64_t)(id & INT64_MAX));
    db_bind_int(st, 2, QUEUE_HISTORY_MAX);
    if (!db_step(st, &row, err))
        return false;
    if (!row) {
        db_reset(st);
        return err_set(err, ERR_MISSING, "no such message");
    }
    m.arrived_ms = db_int(st, 0);
    m.size = (uint64_t)db_int(st, 1);
    m.from = db_text(st, 2);
    m.from = m.from ? m.from : "";
    m.origin = db_text(st, 3);
    m.message_id = db_text(st, 4);
    m.envid = db_text(st, 5);
    *from = db_int(st, 6);
    m.left_off = (uint64_t)*from;
    message(ctx, &m);
    db_reset(st);
    return true;
}

/* A row that was damaged may hold any number. */
static enum queue_outcome
outcome_of(int64_t number)
{
    return number >= QUEUE_DELIVERED && number <= QUEUE_DEFERRED
               ? (enum queue_outcome)number
               : QUEUE_DEFERRED;
}

bool
queue_store_history_row(struct db_statement *st, int at, struct queue_result *r,
                        struct queue_attempt *a)
{
    *r = (struct queue_result){
        .number = db_is_null(st, at) ? UINT32_MAX : (uint32_t)db_int(st, at),
        .address = db_text(st, at + 1),
        .outcome = outcome_of(db_int(st, at + 2)),
        .next_ms = db_int(st, at + 3),
        .warned = db_int(st, at + 4) != 0,
        .reason = db_text(st, at + 5),
        .attempt = SIZE_MAX,
    };
    *a = (struct queue_attempt){
        .at_ms = db_int(st, at + 6),
        .took_ms = db_int(st, at + 7),
        .host = db_text(st, at + 8),
        .address = db_text(st, at + 9),
        .policy = db_text(st, at + 10),
        .proof = db_text(st, at + 11),
        .tls_version = db_text(st, at + 12),
        .tls_cipher = db_text(st, at + 13),
        .verdict = db_text(st, at + 14),
        .reply = db_text(st, at + 15),
        .step = db_text(st, at + 16),
    };
    if (!r->address)
        r->address = "";
    return !db_is_null(st, at + 6);
}

static void
tell_row(struct db_statement *st, queue_history_fn *row, void *ctx)
{
    struct queue_result r;
    struct queue_attempt a;

    row(ctx, queue_store_history_row(st, 0, &r, &a) ? &a : NULL, &r);
}

bool
queue_store_history(struct queue_store *s, uint64_t id,
                    queue_history_message_fn *message, queue_history_fn *row,
                    void *ctx, struct err *err)
{
    struct db_statement *st;
    int64_t from = 0;
    bool more;

    if (!tell_message(s, id, message, ctx, &from, err))
        return false;
    st = queue_store_use(s, QUEUE_ST_ATTEMPT_LIST,
                         "SELECT " QUEUE_HISTORY_COLUMNS
                         " FROM attempt AS a WHERE message = ?"
                         " AND sequence >= ? ORDER BY sequence");
    db_bind_int(st, 1, (int64_t)id);
    db_bind_int(st, 2, from);
    for (;;) {
        if (!db_step(st, &more, err))
            return false;
        if (!more)
            break;
        tell_row(st, row, ctx);
    }
    db_reset(st);
    return true;
}

/* --- purging --- */

enum { PURGED_MAX = 10000 }; /* rows at a time, and the rest of a message's */

struct old {
    uint64_t id;
    int64_t arrived_ms;
};

/* Up to QUEUE_PAGE messages behind those that were looked at. */
static bool
find_page(struct queue_store *s, struct old *page, size_t *count,
          struct err *err)
{
    struct db_statement *st =
        queue_store_use(s, QUEUE_ST_MESSAGE_PAGE,
                        "SELECT id, arrived_ms FROM message WHERE id > ?"
                        " ORDER BY id LIMIT ?");
    bool row;

    *count = 0;
    db_bind_int(st, 1, (int64_t)s->purged_to);
    db_bind_int(st, 2, QUEUE_PAGE);
    while (*count < QUEUE_PAGE) {
        if (!db_step(st, &row, err))
            return false;
        if (!row)
            break;
        page[(*count)++] = (struct old){(uint64_t)db_int(st, 0), db_int(st, 1)};
    }
    db_reset(st);
    return true;
}

/* The time of its last attempt, or of its arrival; *pending: it still has
 * recipients, or somebody is to be told of some. */
static bool
find_end(struct queue_store *s, const struct old *m, int64_t *ended_ms,
         bool *pending, struct err *err)
{
    struct db_statement *st = queue_store_use(
        s, QUEUE_ST_MESSAGE_END,
        "SELECT EXISTS (SELECT 1 FROM recipient WHERE message = ?1)"
        " OR EXISTS (SELECT 1 FROM feed WHERE message = ?1),"
        " (SELECT at_ms FROM attempt WHERE message = ?1"
        "  ORDER BY sequence DESC LIMIT 1)");
    bool row;

    db_bind_int(st, 1, (int64_t)m->id);
    if (!db_step(st, &row, err))
        return false;
    *pending = row && db_int(st, 0) != 0;
    *ended_ms = row && !db_is_null(st, 1) ? db_int(st, 1) : m->arrived_ms;
    db_reset(st);
    return true;
}

static bool
forget(struct queue_store *s, uint64_t id, struct err *err)
{
    struct db_statement *st = queue_store_use(
        s, QUEUE_ST_ATTEMPT_DROP, "DELETE FROM attempt WHERE message = ?");
    uint64_t rows;

    db_bind_int(st, 1, (int64_t)id);
    if (!db_run(st, err))
        return false;
    rows = (uint64_t)db_changes(s->db);
    s->tally.attempts -= rows < s->tally.attempts ? rows : s->tally.attempts;
    st = queue_store_use(s, QUEUE_ST_MESSAGE_DROP,
                         "DELETE FROM message WHERE id = ?");
    db_bind_int(st, 1, (int64_t)id);
    return db_run(st, err);
}

bool
queue_store_purge(struct queue_store *s, int64_t before_ms, uint64_t rows_max,
                  bool *more, struct err *err)
{
    struct old page[QUEUE_PAGE];
    uint64_t rows = s->tally.attempts;
    size_t count;

    *more = false;
    if (!find_page(s, page, &count, err))
        return false;
    for (size_t i = 0; i < count; i++) {
        bool pending, too_many = s->tally.attempts > rows_max;
        int64_t ended_ms;

        if (page[i].arrived_ms >= before_ms && !too_many) {
            count = 0; /* identifiers grow with time: the rest is younger */
            break;
        }
        if (!find_end(s, &page[i], &ended_ms, &pending, err))
            return false;
        if (!pending && (too_many || ended_ms < before_ms) &&
            !forget(s, page[i].id, err))
            return false;
        s->purged_to = page[i].id;
        *more = rows - s->tally.attempts >= PURGED_MAX;
        if (*more)
            return true;
    }
    *more = count == QUEUE_PAGE;
    if (!*more)
        s->purged_to = 0;
    return true;
}
