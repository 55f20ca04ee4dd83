#include "queue/store_inside.h"

/* Rows of one message lie together, so the leader is one seek away. */

bool
queue_store_leads(struct queue_store *s, uint64_t id, uint32_t number,
                  bool *leads, struct err *err)
{
    struct db_statement *st;
    bool row;

    *leads = number == 0;
    if (*leads)
        return true;
    st = queue_store_use(s, QUEUE_ST_RCPT_LEADS,
                         "SELECT 1 FROM recipient"
                         " WHERE message = ? AND number < ? LIMIT 1");
    db_bind_int(st, 1, (int64_t)id);
    db_bind_int(st, 2, number);
    if (!db_step(st, &row, err))
        return false;
    db_reset(st);
    *leads = !row;
    return true;
}

bool
queue_store_find_row(struct queue_store *s, uint64_t id, uint32_t number,
                     bool *is_there, struct queue_claim *out, struct err *err)
{
    const struct queue_claim *claim = queue_claims_find(s->claims, id, number);
    struct db_statement *st;

    if (claim && !claim->is_bad) {
        *out = *claim;
        *is_there = true;
        return true;
    }
    st = queue_store_use(s, QUEUE_ST_RCPT_STATE,
                         "SELECT r.attempts, r.held, m.size FROM recipient AS r"
                         " LEFT JOIN message AS m ON m.id = r.message"
                         " WHERE r.message = ? AND r.number = ?");
    db_bind_int(st, 1, (int64_t)id);
    db_bind_int(st, 2, number);
    if (!db_step(st, is_there, err))
        return false;
    *out = (struct queue_claim){.id = id, .number = number};
    if (*is_there) {
        out->state = queue_store_state(db_int(st, 0), db_int(st, 1));
        out->is_doomed = db_int(st, 1) == QUEUE_DOOMED;
        out->size = (uint64_t)db_int(st, 2);
    }
    db_reset(st);
    return queue_store_leads(s, id, number, &out->leads, err);
}

void
queue_store_tally_move(struct queue_store *s, const struct queue_claim *row,
                       enum queue_state to)
{
    s->tally.rows[row->state]--;
    s->tally.rows[to]++;
    if (row->leads) {
        queue_share_take(&s->tally.led[row->state], row->size);
        queue_share_add(&s->tally.led[to], row->size);
    }
}

/* The recipient that is the first one now; *is_there: there is one. */
static bool
find_leader(struct queue_store *s, uint64_t id, bool *is_there,
            struct queue_claim *out, struct err *err)
{
    struct db_statement *st = queue_store_use(
        s, QUEUE_ST_RCPT_LEADER,
        "SELECT number, attempts, held FROM recipient WHERE message = ?"
        " ORDER BY number LIMIT 1");

    db_bind_int(st, 1, (int64_t)id);
    if (!db_step(st, is_there, err))
        return false;
    if (*is_there) {
        out->number = (uint32_t)db_int(st, 0);
        out->state = queue_store_state(db_int(st, 1), db_int(st, 2));
    }
    db_reset(st);
    return true;
}

static void
tell_claim(struct queue_store *s, uint64_t id, uint32_t number)
{
    const struct queue_claim *claim = queue_claims_find(s->claims, id, number);

    if (claim && !claim->is_bad) {
        struct queue_claim now = *claim;

        now.leads = true;
        queue_claims_put(s->claims, &now);
    }
}

bool
queue_store_tally_drop(struct queue_store *s, const struct queue_claim *row,
                       bool *was_last, struct err *err)
{
    struct queue_claim next = {0};
    bool is_there = false;

    *was_last = false;
    s->tally.rows[row->state]--;
    if (!row->leads)
        return true;
    queue_share_take(&s->tally.led[row->state], row->size);
    if (!row->is_whole && !find_leader(s, row->id, &is_there, &next, err))
        return false;
    *was_last = !is_there;
    if (is_there) {
        queue_share_add(&s->tally.led[next.state], row->size);
        tell_claim(s, row->id, next.number);
    }
    return true;
}
