#include "queue/store_inside.h"

#include "relay/base/mem.h"

#include <strings.h>

/* Walks over the recipients that a filter lets through. */
struct scan {
    struct queue_store *store;
    const struct queue_filter *filter;
    struct db_statement *rows;
    struct db_statement *message; /* of the row, stands on its columns */
    uint64_t message_id;          /* 0: `message` is not in use */
    bool has_message;
    size_t looked; /* rows, of which QUEUE_LOOKED_MAX make a turn */
    struct queue_row row;
    int64_t held;
    enum queue_state beneath; /* the row's own state, claimed or not */
};

enum {
    COLUMN_ARRIVED,
    COLUMN_SIZE,
    COLUMN_SENDER,
    COLUMN_MESSAGE_ID,
    COLUMN_ORIGIN
};

/* What the statement itself says of a row: in its text the whole table would be
 * one step. */
enum { COLUMN_PASSES = 8 };

static void
scan_end(struct scan *s)
{
    db_reset(s->rows);
    if (s->message_id)
        db_reset(s->message);
    s->message_id = 0;
}

static void
scan_begin(struct scan *s, struct queue_store *store,
           const struct queue_filter *f, const struct queue_cursor *cursor)
{
    bool is_domain = f->to && f->to[0] == '@';
    uint64_t id = cursor->id;
    int64_t number = cursor->number;

    *s = (struct scan){.store = store, .filter = f};
    if (id < f->id) {
        id = f->id;
        number = -1;
    }
    s->rows = queue_store_use(
        store, QUEUE_ST_SCAN,
        "SELECT message, number, attempts, held, next_ms, address,"
        " destination, last,"
        " (?4 IS NULL OR domain = ?4 COLLATE NOCASE)"
        " AND (?5 IS NULL OR address = ?5 COLLATE NOCASE)"
        " AND (?6 IS NULL OR domain = substr(?6, 2) COLLATE NOCASE"
        "      OR substr(address, -length(?6)) = ?6 COLLATE NOCASE)"
        " FROM recipient"
        " WHERE (message, number) > (?1, ?2) AND message <= ?3"
        " ORDER BY message, number");
    db_bind_int(s->rows, 1, (int64_t)(id & INT64_MAX));
    db_bind_int(s->rows, 2, number);
    db_bind_int(s->rows, 3, f->id ? (int64_t)(f->id & INT64_MAX) : INT64_MAX);
    db_bind_text(s->rows, 4, f->domain);
    db_bind_text(s->rows, 5, is_domain ? NULL : f->to);
    db_bind_text(s->rows, 6, is_domain ? f->to : NULL);
}

static const char *
or_empty(const char *text)
{
    return text ? text : "";
}

/* Rows of one message follow each other: it is read once. */
static bool
read_message(struct scan *s, struct err *err)
{
    struct queue_row *row = &s->row;

    if (s->message_id == row->id)
        return true;
    s->message = queue_store_use(
        s->store, QUEUE_ST_SCAN_MESSAGE,
        "SELECT arrived_ms, size, sender, message_id, origin FROM message"
        " WHERE id = ?");
    s->message_id = row->id;
    db_bind_int(s->message, 1, (int64_t)row->id);
    if (!db_step(s->message, &s->has_message, err))
        return false;
    row->arrived_ms = 0;
    row->size = 0;
    row->from = "";
    row->message_id = row->origin = NULL;
    if (!s->has_message)
        return true;
    row->arrived_ms = db_int(s->message, COLUMN_ARRIVED);
    row->size = (uint64_t)db_int(s->message, COLUMN_SIZE);
    row->from = or_empty(db_text(s->message, COLUMN_SENDER));
    row->message_id = db_text(s->message, COLUMN_MESSAGE_ID);
    row->origin = db_text(s->message, COLUMN_ORIGIN);
    return true;
}

static void
read_row(struct scan *s)
{
    struct queue_row *row = &s->row;
    const struct queue_claim *claim;

    row->id = (uint64_t)db_int(s->rows, 0);
    row->number = (uint32_t)db_int(s->rows, 1);
    row->attempts = (uint32_t)db_int(s->rows, 2);
    s->held = db_int(s->rows, 3);
    row->next_ms = s->held == QUEUE_HELD ? 0 : db_int(s->rows, 4);
    row->to = or_empty(db_text(s->rows, 5));
    row->destination = or_empty(db_text(s->rows, 6));
    row->last = db_text(s->rows, 7);
    s->beneath = queue_store_state(row->attempts, s->held);
    claim = queue_claims_find(s->store->claims, row->id, row->number);
    row->state = claim && !claim->is_bad ? QUEUE_STATE_ACTIVE : s->beneath;
}

/* "@domain" stands for everybody there. */
static bool
is_from(const char *from, const char *wanted)
{
    size_t len = strlen(from), tail = strlen(wanted);

    if (wanted[0] == '@' && len > tail)
        from += len - tail;
    return strcasecmp(from, wanted) == 0;
}

static bool
wants_message(const struct queue_filter *f)
{
    return f->from || f->older_than_ms;
}

static bool
passes(const struct scan *s)
{
    const struct queue_filter *f = s->filter;

    return (!f->from || is_from(s->row.from, f->from)) &&
           (!f->older_than_ms || s->row.arrived_ms < f->older_than_ms);
}

static bool
passes_row(const struct scan *s)
{
    enum queue_state state = s->filter->state;

    return db_int(s->rows, COLUMN_PASSES) != 0 &&
           (state == QUEUE_STATE_ANY || state == s->row.state);
}

/* *found: s->row is the next one, else the turn is over; *end: so are the
 * rows.  The cursor goes along. */
static bool
scan_next(struct scan *s, struct queue_cursor *cursor, bool *found, bool *end,
          struct err *err)
{
    bool row;

    for (*found = false; s->looked < QUEUE_LOOKED_MAX; s->looked++) {
        if (!db_step(s->rows, &row, err))
            return false;
        *end = !row;
        if (!row)
            return true;
        read_row(s);
        *cursor = (struct queue_cursor){s->row.id, s->row.number};
        if (!passes_row(s))
            continue;
        if (wants_message(s->filter) && !read_message(s, err))
            return false;
        if (!wants_message(s->filter) || passes(s)) {
            *found = true;
            return true;
        }
    }
    return true;
}

bool
queue_store_list(struct queue_store *s, const struct queue_filter *f,
                 struct queue_cursor *cursor, size_t max, queue_row_fn *row,
                 void *ctx, bool *end, struct err *err)
{
    struct scan scan;
    bool found = true, ok = true;

    *end = false;
    scan_begin(&scan, s, f, cursor);
    for (size_t n = 0; ok && found && n < max; n++) {
        ok = scan_next(&scan, cursor, &found, end, err) &&
             (!found || read_message(&scan, err));
        if (ok && found)
            row(ctx, &scan.row);
    }
    /* Whether another row exists is cheap to say, whether it would pass the
     * filter is not. */
    if (ok && !*end) {
        ok = db_step(scan.rows, &found, err);
        *end = !found;
    }
    scan_end(&scan);
    return ok;
}

/* --- changes --- */

struct target {
    uint64_t id;
    uint32_t number;
    int64_t attempts, held;
};

static bool
is_worked_on(const struct queue_store *s, const struct target *t)
{
    const struct queue_claim *claim =
        queue_claims_find(s->claims, t->id, t->number);

    return claim && !claim->is_bad;
}

static bool
set_held(struct queue_store *s, const struct target *t, enum queue_hold held,
         int64_t next_ms, struct err *err)
{
    struct db_statement *st =
        queue_store_use(s, QUEUE_ST_RCPT_SET_HELD,
                        "UPDATE recipient SET held = ?3, next_ms = ?4"
                        " WHERE message = ?1 AND number = ?2");
    struct queue_claim row;
    bool is_there;

    if (!queue_store_find_row(s, t->id, t->number, &is_there, &row, err))
        return false;
    if (!is_there)
        return true;
    db_bind_int(st, 1, (int64_t)t->id);
    db_bind_int(st, 2, t->number);
    db_bind_int(st, 3, held);
    db_bind_int(st, 4, next_ms);
    if (!db_run(st, err))
        return false;
    queue_store_tally_move(s, &row, queue_store_state(t->attempts, held));
    if (is_worked_on(s, t)) {
        row.state = queue_store_state(t->attempts, held);
        row.is_doomed = held == QUEUE_DOOMED;
        queue_claims_put(s->claims, &row);
    }
    return true;
}

static bool
apply(struct queue_store *s, enum queue_change change, const struct target *t,
      int64_t now_ms, struct err *err)
{
    switch (change) {
    case QUEUE_CHANGE_HOLD:
        return t->held != QUEUE_FREE ||
               set_held(s, t, QUEUE_HELD, QUEUE_NEVER_MS, err);
    case QUEUE_CHANGE_RELEASE:
        return set_held(s, t, QUEUE_FREE, now_ms, err);
    case QUEUE_CHANGE_RETRY:
        return is_worked_on(s, t) || t->held != QUEUE_FREE ||
               set_held(s, t, QUEUE_FREE, now_ms, err);
    case QUEUE_CHANGE_DELETE:
        return is_worked_on(s, t)
                   ? set_held(s, t, QUEUE_DOOMED, now_ms, err)
                   : queue_store_delete(s, t->id, t->number, err);
    case QUEUE_CHANGE_BOUNCE:
        return set_held(s, t, QUEUE_FREE, now_ms, err) &&
               queue_store_end(s, t->id, t->number, err);
    }
    return false;
}

/* Releasing is for what is held; trying again for what is not. */
static bool
concerns(enum queue_change change, int64_t held)
{
    switch (change) {
    case QUEUE_CHANGE_HOLD:
    case QUEUE_CHANGE_DELETE:
        return true;
    case QUEUE_CHANGE_RELEASE:
        return held == QUEUE_HELD;
    case QUEUE_CHANGE_RETRY:
        return held != QUEUE_HELD;
    case QUEUE_CHANGE_BOUNCE:
        return held != QUEUE_DOOMED;
    }
    return false;
}

/* Up to `max` rows behind the bulk's cursor, which moves along; none once the
 * turn is over, in which *looked rows were looked at. */
static bool
find_targets(struct queue_store *s, struct queue_bulk *b, size_t max,
             struct target *out, size_t *count, size_t *looked, struct err *err)
{
    struct scan scan;
    bool found = true, ok = true;

    *count = 0;
    scan_begin(&scan, s, &b->filter, &b->cursor);
    scan.looked = *looked;
    while (*count < max) {
        ok = scan_next(&scan, &b->cursor, &found, &b->end, err);
        if (!ok || !found)
            break;
        if (concerns(b->change, scan.held))
            out[(*count)++] = (struct target){scan.row.id, scan.row.number,
                                              scan.row.attempts, scan.held};
    }
    *looked = scan.looked;
    scan_end(&scan);
    return ok;
}

bool
queue_store_bulk(struct queue_store *s, struct queue_bulk *b, size_t max,
                 struct err *err)
{
    scoped(own_free) struct target *page = mem_array(struct target, QUEUE_PAGE);
    size_t looked = 0;

    while (max > 0 && !b->end && looked < QUEUE_LOOKED_MAX) {
        size_t n;

        if (!find_targets(s, b, max < QUEUE_PAGE ? max : QUEUE_PAGE, page, &n,
                          &looked, err))
            return false;
        for (size_t i = 0; !b->dry && i < n; i++)
            if (!apply(s, b->change, &page[i], b->now_ms, err))
                return false;
        b->count += n;
        max -= n;
    }
    return true;
}

/* --- counts --- */

static bool
find_oldest(struct queue_store *s, int64_t *arrived_ms, struct err *err)
{
    struct db_statement *st =
        queue_store_use(s, QUEUE_ST_RCPT_FIRST,
                        "SELECT arrived_ms FROM message WHERE id ="
                        " (SELECT message FROM recipient"
                        "  ORDER BY message, number LIMIT 1)");
    bool row;

    if (!db_step(st, &row, err))
        return false;
    *arrived_ms = row ? db_int(st, 0) : 0;
    db_reset(st);
    return true;
}

static void
count_led(const struct queue_store *s, enum queue_state state,
          struct queue_counts *out)
{
    const struct queue_share *all = &s->tally.led[state];
    const struct queue_share *active = queue_claims_led(s->claims, state);

    out->messages += all->messages;
    out->octets += all->octets;
    out->led[state] = (struct queue_share){all->messages - active->messages,
                                           all->octets - active->octets};
    out->led[QUEUE_STATE_ACTIVE].messages += active->messages;
    out->led[QUEUE_STATE_ACTIVE].octets += active->octets;
}

bool
queue_store_count(struct queue_store *s, struct queue_counts *out,
                  struct err *err)
{
    static const enum queue_state states[] = {
        QUEUE_STATE_QUEUED, QUEUE_STATE_DEFERRED, QUEUE_STATE_HELD};

    *out = (struct queue_counts){0};
    for (size_t i = 0; i < sizeof(states) / sizeof(*states); i++) {
        uint64_t rows = s->tally.rows[states[i]];
        uint64_t active = queue_claims_count(s->claims, states[i]);

        out->recipients += rows;
        out->by_state[states[i]] = rows - active;
        out->by_state[QUEUE_STATE_ACTIVE] += active;
        count_led(s, states[i], out);
    }
    out->by_state[QUEUE_STATE_ANY] = out->recipients;
    return find_oldest(s, &out->oldest_ms, err);
}

void
queue_store_count_doubt(const struct queue_store *s, uint64_t id,
                        const uint32_t *numbers, size_t count,
                        struct queue_counts *counts)
{
    for (size_t i = 0; i < count; i++) {
        const struct queue_claim *claim =
            queue_claims_find(s->claims, id, numbers[i]);

        if (!claim || claim->is_bad)
            continue;
        counts->by_state[QUEUE_STATE_ACTIVE]--;
        counts->in_doubt++;
        if (!claim->leads)
            continue;
        queue_share_take(&counts->led[QUEUE_STATE_ACTIVE], claim->size);
        queue_share_add(&counts->led_in_doubt, claim->size);
    }
}
