#include "queue/store_inside.h"
#include "queue/sum.h"

#include <assert.h>

enum {
    FLAG_BODY_8BIT = 1,
    FLAG_SMTPUTF8 = 2,
    FLAG_REQUIRETLS = 4,
    FLAG_HAS_8BIT = 8,
    FLAG_TLS_REQUIRED_NO = 16,
    FLAG_HEADER_ASCII = 32
};

static unsigned
flags_of(const struct queue_message *m)
{
    return (m->envelope.body_8bit ? FLAG_BODY_8BIT : 0U) |
           (m->envelope.smtputf8 ? FLAG_SMTPUTF8 : 0U) |
           (m->envelope.requiretls ? FLAG_REQUIRETLS : 0U) |
           (m->has_8bit ? FLAG_HAS_8BIT : 0U) |
           (m->is_header_ascii ? FLAG_HEADER_ASCII : 0U) |
           (m->tls_required_no ? FLAG_TLS_REQUIRED_NO : 0U);
}

void
queue_store_set_flags(struct queue_message *m, unsigned flags)
{
    m->envelope.body_8bit = flags & FLAG_BODY_8BIT;
    m->envelope.smtputf8 = flags & FLAG_SMTPUTF8;
    m->envelope.requiretls = flags & FLAG_REQUIRETLS;
    m->has_8bit = flags & FLAG_HAS_8BIT;
    m->is_header_ascii = flags & FLAG_HEADER_ASCII;
    m->tls_required_no = flags & FLAG_TLS_REQUIRED_NO;
}

uint64_t
queue_store_message_sum(const struct queue_message *m, unsigned flags)
{
    uint64_t sum = queue_sum_number(0, m->id);

    sum = queue_sum_number(sum, (uint64_t)m->arrived_ms);
    sum = queue_sum_number(sum, m->size);
    sum = queue_sum_number(sum, flags);
    sum = queue_sum_number(sum, m->envelope.ret);
    sum = queue_sum_text(sum, m->envelope.from);
    return queue_sum_text(sum, m->envelope.envid);
}

uint64_t
queue_store_rcpt_sum(uint64_t id, uint32_t number, const struct mail_rcpt *r,
                     const char *destination)
{
    uint64_t sum = queue_sum_number(0, id << QUEUE_SHIFT | number);

    sum = queue_sum_number(sum, r->notify);
    sum = queue_sum_text(sum, r->address);
    sum = queue_sum_text(sum, r->domain);
    sum = queue_sum_text(sum, r->orcpt);
    return queue_sum_text(sum, destination);
}

static bool
put_piece(struct queue_store *s, uint64_t id, uint64_t sequence,
          struct slice octets, struct err *err)
{
    struct db_statement *st =
        queue_store_use(s, QUEUE_ST_BODY_PUT,
                        "INSERT INTO body (id, sum, octets) VALUES (?, ?, ?)");

    db_bind_int(st, 1, (int64_t)(id << QUEUE_SHIFT | sequence));
    db_bind_int(st, 2, (int64_t)queue_sum_octets(0, octets));
    db_bind_blob(st, 3, octets);
    return db_run(st, err);
}

static bool
begin_spill(struct queue_store *s, uint64_t id, struct err *err)
{
    struct db_statement *st = queue_store_use(
        s, QUEUE_ST_SPILL_PUT, "INSERT INTO spill (message) VALUES (?)");

    db_bind_int(st, 1, (int64_t)id);
    return db_run(st, err);
}

/* A piece behind one that was lost would never be found again. */
static bool
goes_on(struct queue_store *s, uint64_t id, struct err *err)
{
    struct db_statement *st = queue_store_use(
        s, QUEUE_ST_SPILL_GET, "SELECT 1 FROM spill WHERE message = ?");
    bool row;

    db_bind_int(st, 1, (int64_t)id);
    if (!db_step(st, &row, err))
        return false;
    db_reset(st);
    return row || err_set(err, ERR_INPUT, "the first piece is not stored");
}

bool
queue_store_spill(struct queue_store *s, uint64_t id, unsigned sequence,
                  struct slice octets, struct err *err)
{
    assert(octets.len <= (sequence == 0 ? QUEUE_FRONT_MAX : QUEUE_CHUNK));
    if (sequence >= QUEUE_CHUNKS_MAX)
        return err_set(err, ERR_LIMIT, "the message has too many pieces");
    return (sequence == 1 ? begin_spill(s, id, err) : goes_on(s, id, err)) &&
           put_piece(s, id, sequence, octets, err);
}

/* One row where that is known to be all, else all rows of the message. */
bool
queue_store_drop_body(struct queue_store *s, uint64_t id, uint64_t size,
                      struct err *err)
{
    struct db_statement *st;

    if (size <= QUEUE_CHUNK) {
        st = queue_store_use(s, QUEUE_ST_BODY_DROP,
                             "DELETE FROM body WHERE id = ?");
        db_bind_int(st, 1, (int64_t)(id << QUEUE_SHIFT));
        return db_run(st, err);
    }
    st = queue_store_use(s, QUEUE_ST_BODY_DROP_ALL,
                         "DELETE FROM body WHERE id BETWEEN ? AND ?");
    db_bind_int(st, 1, (int64_t)(id << QUEUE_SHIFT));
    db_bind_int(st, 2, (int64_t)(id << QUEUE_SHIFT | (QUEUE_CHUNKS_MAX - 1)));
    return db_run(st, err);
}

/* *was_there: the message was one that is still coming in. */
static bool
end_spill(struct queue_store *s, uint64_t id, bool *was_there, struct err *err)
{
    struct db_statement *st = queue_store_use(
        s, QUEUE_ST_SPILL_DROP, "DELETE FROM spill WHERE message = ?");

    db_bind_int(st, 1, (int64_t)id);
    if (!db_run(st, err))
        return false;
    *was_there = db_changes(s->db) > 0;
    return true;
}

bool
queue_store_unspill(struct queue_store *s, uint64_t id, struct err *err)
{
    bool was_there;

    if (!end_spill(s, id, &was_there, err))
        return false;
    return !was_there || queue_store_drop_body(s, id, UINT64_MAX, err);
}

bool
queue_store_drop_spilled(struct queue_store *s, struct err *err)
{
    for (;;) {
        struct db_statement *st = queue_store_use(
            s, QUEUE_ST_SPILLED, "SELECT message FROM spill LIMIT 1");
        uint64_t id;
        bool row;

        if (!db_step(st, &row, err))
            return false;
        id = row ? (uint64_t)db_int(st, 0) : 0;
        db_reset(st);
        if (!row)
            return true;
        if (!queue_store_unspill(s, id, err))
            return false;
    }
}

/* All pieces are there, without a gap, and as long as the message's size
 * says. */
static bool
check_spilled(struct queue_store *s, const struct queue_message *m,
              struct err *err)
{
    struct db_statement *st =
        queue_store_use(s, QUEUE_ST_SPILL_SIZE,
                        "SELECT count(*), max(id), sum(length(octets))"
                        " FROM body WHERE id BETWEEN ?1 AND ?2 AND"
                        " EXISTS (SELECT 1 FROM spill WHERE message = ?3)");
    uint64_t base = m->id << QUEUE_SHIFT;
    bool row, is_whole;

    db_bind_int(st, 1, (int64_t)base);
    db_bind_int(st, 2, (int64_t)(base | (QUEUE_CHUNKS_MAX - 1)));
    db_bind_int(st, 3, (int64_t)m->id);
    if (!db_step(st, &row, err))
        return false;
    is_whole = row &&
               (uint64_t)db_int(st, 1) == base + (uint64_t)db_int(st, 0) - 1 &&
               (uint64_t)db_int(st, 2) == m->size;
    db_reset(st);
    return is_whole ||
           err_set(err, ERR_INPUT, "the message is not all in the store");
}

static bool
put_body(struct queue_store *s, const struct queue_message *m, struct err *err)
{
    struct slice rest = buf_slice(&m->body);
    bool was_there;

    if (rest.len == 0)
        return end_spill(s, m->id, &was_there, err);
    for (uint64_t n = 0; rest.len > 0; n++) {
        if (!put_piece(s, m->id, n, slice_first(rest, QUEUE_CHUNK), err))
            return false;
        rest = slice_from(rest, QUEUE_CHUNK);
    }
    return true;
}

static bool
put_message(struct queue_store *s, const struct queue_message *m,
            struct err *err)
{
    struct db_statement *st = queue_store_use(
        s, QUEUE_ST_MESSAGE_PUT,
        "INSERT INTO message (id, arrived_ms, size, flags, ret, sender, envid,"
        " sum, origin, message_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    unsigned flags = flags_of(m);

    db_bind_int(st, 1, (int64_t)m->id);
    db_bind_int(st, 2, m->arrived_ms);
    db_bind_int(st, 3, (int64_t)m->size);
    db_bind_int(st, 4, flags);
    db_bind_int(st, 5, m->envelope.ret);
    db_bind_text(st, 6, m->envelope.from);
    db_bind_text(st, 7, m->envelope.envid);
    db_bind_int(st, 8, (int64_t)queue_store_message_sum(m, flags));
    db_bind_text(st, 9, m->origin);
    db_bind_text(st, 10, m->message_id);
    return db_run(st, err);
}

static bool
put_rcpt(struct queue_store *s, const struct queue_message *m, size_t i,
         struct err *err)
{
    struct db_statement *st = queue_store_use(
        s, QUEUE_ST_RCPT_PUT,
        "INSERT INTO recipient (message, number, next_ms, attempts, warned,"
        " held, destination, domain, address, orcpt, notify, sum, last)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    const struct mail_rcpt *r = &m->envelope.rcpt[i];
    const struct queue_rcpt *q = &m->rcpt[i];

    db_bind_int(st, 1, (int64_t)m->id);
    db_bind_int(st, 2, q->number);
    db_bind_int(st, 3, q->held ? QUEUE_NEVER_MS : q->next_ms);
    db_bind_int(st, 4, q->attempts);
    db_bind_int(st, 5, q->warned);
    db_bind_int(st, 6, q->held ? QUEUE_HELD : QUEUE_FREE);
    db_bind_text(st, 7, q->destination);
    db_bind_text(st, 8, r->domain);
    db_bind_text(st, 9, r->address);
    db_bind_text(st, 10, r->orcpt);
    db_bind_int(st, 11, r->notify);
    db_bind_int(
        st, 12,
        (int64_t)queue_store_rcpt_sum(m->id, q->number, r, q->destination));
    db_bind_text(st, 13, q->last);
    return db_run(st, err);
}

bool
queue_store_check(const struct queue_message *m, struct err *err)
{
    size_t n = m->envelope.rcpt_count;

    if (m->id == 0 || m->id >= (uint64_t)1 << (63 - QUEUE_SHIFT))
        return err_set(err, ERR_INPUT, "a message without an identifier");
    if (!m->envelope.from || n == 0 || !m->rcpt)
        return err_set(err, ERR_INPUT, "a message without an envelope");
    if (n > QUEUE_NUMBERS_MAX)
        return err_set(err, ERR_LIMIT, "a message with %zu recipients", n);
    if (m->body.len > (uint64_t)QUEUE_CHUNK * QUEUE_CHUNKS_MAX)
        return err_set(err, ERR_LIMIT, "a message of %zu octets", m->body.len);
    if (m->body.len > 0 && m->body.len != m->size)
        return err_set(err, ERR_INPUT, "a message of another size");
    for (size_t i = 0; i < n; i++) {
        const struct mail_rcpt *r = &m->envelope.rcpt[i];

        if (!r->address || !r->domain || !m->rcpt[i].destination ||
            m->rcpt[i].number >= QUEUE_NUMBERS_MAX)
            return err_set(err, ERR_INPUT, "a recipient without destination");
    }
    return true;
}

static size_t
leader(const struct queue_message *m)
{
    size_t first = 0;

    for (size_t i = 1; i < m->envelope.rcpt_count; i++)
        if (m->rcpt[i].number < m->rcpt[first].number)
            first = i;
    return first;
}

static enum queue_state
state_of(const struct queue_rcpt *q)
{
    return queue_store_state(q->attempts, q->held ? QUEUE_HELD : QUEUE_FREE);
}

static void
claim_all(struct queue_store *s, const struct queue_message *m)
{
    size_t first = leader(m);

    for (size_t i = 0; i < m->envelope.rcpt_count; i++) {
        const struct queue_rcpt *q = &m->rcpt[i];
        struct queue_claim claim = {
            .id = m->id,
            .number = q->number,
            .state = queue_store_state(q->attempts, QUEUE_FREE),
            .is_whole = m->envelope.rcpt_count == 1,
            .leads = i == first,
            .size = m->size,
        };

        if (!q->held)
            queue_claims_put(s->claims, &claim);
    }
}

bool
queue_store_enqueue(struct queue_store *s, const struct queue_message *m,
                    bool claim, struct err *err)
{
    /* Nothing is written before all has been checked: whoever is refused for
     * his input leaves no trace in the transaction. */
    if (!queue_store_check(m, err) ||
        (m->body.len < m->size && !check_spilled(s, m, err)))
        return false;
    if (!put_message(s, m, err) || !put_body(s, m, err) ||
        (m->receipt && !queue_store_receipt_put(s, m, err)))
        return false;
    for (size_t i = 0; i < m->envelope.rcpt_count; i++) {
        if (!put_rcpt(s, m, i, err))
            return false;
        s->tally.rows[state_of(&m->rcpt[i])]++;
    }
    queue_share_add(&s->tally.led[state_of(&m->rcpt[leader(m)])], m->size);
    if (m->id > s->last_id)
        s->last_id = m->id;
    if (claim)
        claim_all(s, m);
    return true;
}
