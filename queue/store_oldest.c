#include "queue/store_inside.h"

static const enum queue_state states[] = {QUEUE_STATE_QUEUED,
                                          QUEUE_STATE_DEFERRED,
                                          QUEUE_STATE_HELD, QUEUE_STATE_ACTIVE};

enum { STATES = sizeof(states) / sizeof(*states) };

/* States that some recipient is in and that were not met yet. */
static unsigned
count_missing(const struct queue_counts *counts,
              const uint64_t id[QUEUE_STATE_ACTIVE + 1])
{
    unsigned n = 0;

    for (size_t i = 0; i < STATES; i++)
        n += counts->by_state[states[i]] > 0 && id[states[i]] == 0;
    return n;
}

static enum queue_state
state_now(struct queue_store *s, uint64_t id, struct db_statement *st)
{
    const struct queue_claim *claim =
        queue_claims_find(s->claims, id, (uint32_t)db_int(st, 1));

    if (claim && !claim->is_bad)
        return QUEUE_STATE_ACTIVE;
    return queue_store_state(db_int(st, 2), db_int(st, 3));
}

/* The first message in each state.  Identifiers grow with time. */
static bool
find_first(struct queue_store *s, const struct queue_counts *counts,
           uint64_t id[QUEUE_STATE_ACTIVE + 1], struct err *err)
{
    struct db_statement *st =
        queue_store_use(s, QUEUE_ST_RCPT_OLDEST,
                        "SELECT message, number, attempts, held FROM recipient"
                        " ORDER BY message, number LIMIT ?");
    unsigned missing = count_missing(counts, id);
    uint64_t last = 0;
    bool row = true;

    db_bind_int(st, 1, QUEUE_OLDEST_ROWS);
    while (row && missing > 0) {
        enum queue_state state;

        if (!db_step(st, &row, err))
            return false;
        if (!row)
            break;
        last = (uint64_t)db_int(st, 0);
        state = state_now(s, last, st);
        if (id[state] == 0) {
            id[state] = last;
            missing = count_missing(counts, id);
        }
    }
    db_reset(st);
    for (size_t i = 0; i < STATES; i++)
        if (counts->by_state[states[i]] > 0 && id[states[i]] == 0)
            id[states[i]] = last;
    return true;
}

static bool
find_arrival(struct queue_store *s, uint64_t id, int64_t *arrived_ms,
             struct err *err)
{
    struct db_statement *st =
        queue_store_use(s, QUEUE_ST_MESSAGE_ARRIVED,
                        "SELECT arrived_ms FROM message WHERE id = ?");
    bool row;

    db_bind_int(st, 1, (int64_t)id);
    if (!db_step(st, &row, err))
        return false;
    *arrived_ms = row ? db_int(st, 0) : 0;
    db_reset(st);
    return true;
}

bool
queue_store_oldest(struct queue_store *s,
                   int64_t arrived_ms[QUEUE_STATE_ACTIVE + 1], struct err *err)
{
    uint64_t id[QUEUE_STATE_ACTIVE + 1] = {0};
    struct queue_counts counts;

    memset(arrived_ms, 0, (QUEUE_STATE_ACTIVE + 1) * sizeof(*arrived_ms));
    if (!queue_store_count(s, &counts, err) || !find_first(s, &counts, id, err))
        return false;
    for (size_t i = 0; i < STATES; i++)
        if (id[states[i]] != 0 &&
            !find_arrival(s, id[states[i]], &arrived_ms[states[i]], err))
            return false;
    return true;
}
