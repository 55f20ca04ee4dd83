#include "queue/store_inside.h"

#include "relay/base/mem.h"

#include <assert.h>

const char *
queue_outcome_name(enum queue_outcome o)
{
    static const char *const names[] = {
        [QUEUE_DELIVERED] = "delivered",
        [QUEUE_FAILED] = "failed",
        [QUEUE_EXPIRED] = "expired",
        [QUEUE_DEFERRED] = "deferred",
    };

    return names[o];
}

/* One settlement on its way into the tables. */
struct job {
    struct queue_store *store;
    const struct queue_settlement *x;
    uint64_t size;      /* of the message, once a row was found */
    int64_t sequence;   /* of the next row of history; negative: not known */
    bool is_empty;      /* the last recipient is gone */
    const char *untold; /* why nobody can be told of an end; NULL: they can */
    bool has_begun;     /* attempts that decided nothing are written */
};

/* --- history --- */

static bool
find_sequence(struct job *j, struct err *err)
{
    struct db_statement *st;
    bool row;

    if (j->sequence >= 0)
        return true;
    st = queue_store_use(j->store, QUEUE_ST_ATTEMPT_LAST,
                         "SELECT sequence FROM attempt WHERE message = ?"
                         " ORDER BY sequence DESC LIMIT 1");
    db_bind_int(st, 1, (int64_t)j->x->id);
    if (!db_step(st, &row, err))
        return false;
    j->sequence = row ? db_int(st, 0) + 1 : 0;
    db_reset(st);
    return true;
}

static void
bind_attempt(struct db_statement *st, const struct queue_attempt *a)
{
    db_bind_int(st, 9, a->at_ms);
    db_bind_int(st, 10, a->took_ms);
    db_bind_text(st, 11, a->host);
    db_bind_text(st, 12, a->address);
    db_bind_text(st, 13, a->policy);
    db_bind_text(st, 14, a->proof);
    db_bind_text(st, 15, a->tls_version);
    db_bind_text(st, 16, a->tls_cipher);
    db_bind_text(st, 17, a->verdict);
    db_bind_text(st, 18, a->reply);
    db_bind_text(st, 19, a->step);
}

static bool
put_history(struct job *j, const struct queue_result *r,
            const struct queue_attempt *a, struct err *err)
{
    struct db_statement *st;

    if (!find_sequence(j, err))
        return false;
    st = queue_store_use(
        j->store, QUEUE_ST_ATTEMPT_PUT,
        "INSERT INTO attempt (message, sequence, number, rcpt, outcome,"
        " next_ms, warned, reason, at_ms, took_ms, host, address, policy,"
        " proof, tls_version, tls_cipher, verdict, reply, step)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    db_bind_int(st, 1, (int64_t)j->x->id);
    db_bind_int(st, 2, j->sequence++);
    db_bind_int(st, 5, QUEUE_DEFERRED);
    if (r) {
        db_bind_int(st, 3, r->number);
        db_bind_text(st, 4, r->address);
        db_bind_int(st, 5, r->outcome);
        db_bind_text(st, 8, r->reason);
        if (r->outcome == QUEUE_DEFERRED) {
            db_bind_int(st, 6, r->next_ms);
            db_bind_int(st, 7, r->warned);
        }
    }
    if (a)
        bind_attempt(st, a);
    j->store->tally.attempts++;
    return db_run(st, err);
}

static bool
decides_nothing(const struct queue_settlement *x, size_t attempt)
{
    for (size_t i = 0; i < x->result_count; i++)
        if (x->results[i].attempt == attempt)
            return false;
    return true;
}

static bool
put_result(struct job *j, const struct queue_result *r, struct err *err)
{
    const struct queue_settlement *x = j->x;

    for (size_t i = 0; !j->has_begun && i < x->attempt_count; i++)
        if (decides_nothing(x, i) &&
            !put_history(j, NULL, &x->attempts[i], err))
            return false;
    j->has_begun = true;
    return put_history(j, r,
                       r->attempt < x->attempt_count ? &x->attempts[r->attempt]
                                                     : NULL,
                       err) &&
           queue_store_feed_put(j->store, x, r, j->sequence - 1, err);
}

/* --- recipients --- */

static bool
remove_row(struct job *j, const struct queue_claim *row, struct err *err)
{
    struct queue_store *s = j->store;
    struct db_statement *st = queue_store_use(
        s, QUEUE_ST_RCPT_DROP,
        "DELETE FROM recipient WHERE message = ? AND number = ?");

    db_bind_int(st, 1, (int64_t)row->id);
    db_bind_int(st, 2, row->number);
    return db_run(st, err) && queue_store_tally_drop(s, row, &j->is_empty, err);
}

static bool
defer_row(struct job *j, const struct queue_claim *row,
          const struct queue_result *r, struct err *err)
{
    struct queue_store *s = j->store;
    bool is_held = row->state == QUEUE_STATE_HELD;
    struct db_statement *st =
        queue_store_use(s, QUEUE_ST_RCPT_DEFER,
                        "UPDATE recipient SET next_ms = coalesce(?3, next_ms),"
                        " warned = warned"
                        " OR ?4, last = ?5, attempts = attempts + ?6"
                        " WHERE message = ?1 AND number = ?2");

    db_bind_int(st, 1, (int64_t)row->id);
    db_bind_int(st, 2, row->number);
    db_bind_int(st, 6, !r->untried);
    if (is_held || !row->is_ended) /* what is ended is due already */
        db_bind_int(st, 3, is_held ? QUEUE_NEVER_MS : r->next_ms);
    db_bind_int(st, 4, r->warned);
    db_bind_text(st, 5, r->reason);
    if (!db_run(st, err))
        return false;
    if (!is_held && !r->untried)
        queue_store_tally_move(s, row, QUEUE_STATE_DEFERRED);
    return true;
}

/* The routes changed while it was claimed. */
static bool
readdress_row(struct job *j, const struct queue_claim *row,
              const struct queue_result *r, struct err *err)
{
    uint64_t sum;

    if (!r->destination || row->is_ended)
        return true;
    sum = queue_store_rcpt_sum(j->x->id, r->number, r->rcpt, r->destination);
    return queue_store_move(j->store, j->x->id, r->number, r->destination, sum,
                            err);
}

static bool
put_deleted(struct job *j, uint32_t number, const char *address,
            struct err *err)
{
    struct queue_result r = {
        .number = number,
        .address = address,
        .outcome = QUEUE_FAILED,
        .reason = "deleted by the operator",
        .attempt = SIZE_MAX,
    };

    return put_history(j, &r, NULL, err);
}

static bool
is_end(const struct queue_result *r)
{
    return r->outcome == QUEUE_FAILED || r->outcome == QUEUE_EXPIRED;
}

/* What can neither be delivered nor given back waits for a person. */
static bool
set_aside(struct job *j, const struct queue_claim *row,
          const struct queue_result *r, struct err *err)
{
    struct queue_store *s = j->store;
    scoped(own_free) char *reason =
        mem_printf("%s (held: its sender can't be told: %s)",
                   r->reason ? r->reason : "", j->untold);
    struct queue_result held = *r;
    struct db_statement *st;

    held.outcome = QUEUE_DEFERRED;
    held.next_ms = QUEUE_NEVER_MS;
    held.reason = reason;
    held.feeds = NULL; /* it is no end, and nothing that was put off */
    if (!put_result(j, &held, err))
        return false;
    st = queue_store_use(s, QUEUE_ST_RCPT_ASIDE,
                         "UPDATE recipient SET held = ?3, next_ms = ?4,"
                         " last = ?5, attempts = attempts + 1"
                         " WHERE message = ?1 AND number = ?2");
    db_bind_int(st, 1, (int64_t)row->id);
    db_bind_int(st, 2, row->number);
    db_bind_int(st, 3, QUEUE_HELD);
    db_bind_int(st, 4, QUEUE_NEVER_MS);
    db_bind_text(st, 5, reason);
    if (!db_run(st, err))
        return false;
    queue_store_tally_move(s, row, QUEUE_STATE_HELD);
    return true;
}

static bool
change_row(struct job *j, const struct queue_claim *row,
           const struct queue_result *r, struct err *err)
{
    if (j->untold && is_end(r) && !row->is_doomed)
        return set_aside(j, row, r, err);
    if (!put_result(j, r, err))
        return false;
    if (r->outcome != QUEUE_DEFERRED)
        return remove_row(j, row, err);
    if (row->is_doomed)
        return put_deleted(j, r->number, r->address, err) &&
               remove_row(j, row, err);
    return defer_row(j, row, r, err) && readdress_row(j, row, r, err);
}

static bool
settle_one(struct job *j, const struct queue_result *r, struct err *err)
{
    struct queue_store *s = j->store;
    struct queue_claim row;
    bool is_there, ok;

    if (!queue_store_find_row(s, j->x->id, r->number, &is_there, &row, err))
        return false;
    if (!is_there)
        return true;
    j->size = row.size;
    if (row.is_whole)
        j->sequence = 0;
    ok = change_row(j, &row, r, err);
    queue_claims_drop(s->claims, j->x->id, r->number);
    return ok;
}

/* --- messages --- */

/* The body goes with the last recipient. */
static bool
end_message(struct job *j, struct err *err)
{
    return !j->is_empty ||
           queue_store_drop_body(j->store, j->x->id, j->size, err);
}

/* True: each of them can be enqueued. */
static bool
check_notices(const struct queue_settlement *x, struct err *why)
{
    for (size_t i = 0; i < x->notice_count; i++)
        if (!queue_store_check(x->notices[i], why))
            return err_in(why, "a notice");
    return true;
}

bool
queue_store_settle(struct queue_store *s, const struct queue_settlement *x,
                   struct err *err)
{
    struct job j = {.store = s, .x = x, .sequence = -1};
    struct err untold = {0};

    if (!check_notices(x, &untold))
        j.untold = untold.text;
    if (x->untold)
        *x->untold = untold;
    for (size_t i = 0; i < x->result_count; i++)
        if (!settle_one(&j, &x->results[i], err))
            return false;
    if (!end_message(&j, err))
        return false;
    for (size_t i = 0; i < x->notice_count && !j.untold; i++)
        if (!queue_store_enqueue(s, x->notices[i], false, err))
            return err_in(err, "a notice");
    return true;
}

static bool
find_address(struct queue_store *s, uint64_t id, uint32_t number,
             struct buf *out, struct err *err)
{
    struct db_statement *st =
        queue_store_use(s, QUEUE_ST_RCPT_ADDRESS,
                        "SELECT address FROM recipient"
                        " WHERE message = ? AND number = ?");
    const char *text;
    bool row;

    db_bind_int(st, 1, (int64_t)id);
    db_bind_int(st, 2, number);
    if (!db_step(st, &row, err))
        return false;
    text = row ? db_text(st, 0) : NULL;
    buf_add_text(out, text ? text : "");
    db_reset(st);
    return true;
}

bool
queue_store_delete(struct queue_store *s, uint64_t id, uint32_t number,
                   struct err *err)
{
    const struct queue_settlement x = {.id = id};
    struct job j = {.store = s, .x = &x, .sequence = -1};
    scoped(buf_free) struct buf address = {0};
    struct queue_claim row;
    bool is_there;

    if (!queue_store_find_row(s, id, number, &is_there, &row, err))
        return false;
    if (!is_there)
        return true;
    j.size = row.size;
    return find_address(s, id, number, &address, err) &&
           put_deleted(&j, number, buf_text(&address), err) &&
           remove_row(&j, &row, err) && end_message(&j, err);
}
