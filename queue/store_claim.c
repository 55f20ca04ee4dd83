#include "queue/store_inside.h"
#include "queue/sum.h"

#include "relay/base/mem.h"

#include <stdlib.h>

/* --- bodies --- */

/* Behind the last piece is a gap in the middle of a message the end of it?
 * Not when the pieces ahead of it are all of the message. */
static bool
no_piece(struct queue_store *s, uint64_t id, unsigned sequence, struct err *err)
{
    struct db_statement *st = queue_store_use(
        s, QUEUE_ST_PIECE_MISSING,
        "SELECT size > (SELECT total(length(octets)) FROM body"
        " WHERE id >= ?2 AND id < ?3) FROM message WHERE id = ?1");
    uint64_t base = id << QUEUE_SHIFT;
    bool row, is_lost;

    db_bind_int(st, 1, (int64_t)id);
    db_bind_int(st, 2, (int64_t)base);
    db_bind_int(st, 3, (int64_t)(base | sequence));
    if (!db_step(st, &row, err))
        return false;
    is_lost = row && db_int(st, 0) != 0;
    db_reset(st);
    if (is_lost)
        return err_set(err, ERR_INPUT, "piece %u of the message is missing",
                       sequence);
    return err_set(err, ERR_MISSING, "the message has no piece %u", sequence);
}

bool
queue_store_read(struct queue_store *s, uint64_t id, unsigned sequence,
                 struct buf *out, struct err *err)
{
    struct db_statement *st = queue_store_use(
        s, QUEUE_ST_BODY_GET, "SELECT sum, octets FROM body WHERE id = ?");
    bool row, is_sound;

    db_bind_int(st, 1, (int64_t)(id << QUEUE_SHIFT | sequence));
    if (!db_step(st, &row, err))
        return false;
    if (!row) {
        db_reset(st);
        return no_piece(s, id, sequence, err);
    }
    is_sound = (uint64_t)db_int(st, 0) == queue_sum_octets(0, db_blob(st, 1));
    if (is_sound)
        buf_add(out, db_blob(st, 1));
    db_reset(st);
    return is_sound || err_set(err, ERR_INPUT,
                               "piece %u of the message is damaged", sequence);
}

/* --- which destinations have work --- */

static bool
is_claimed(const struct queue_store *s, uint64_t id, uint32_t number)
{
    return queue_claims_find(s->claims, id, number) != NULL;
}

/* The first destination behind `after`, and its earliest attempt that nobody
 * works on (QUEUE_NEVER_MS: none).  *name is the caller's; NULL: no more. */
static bool
next_destination(struct queue_store *s, const char *after, char **name,
                 int64_t *next_ms, struct err *err)
{
    struct db_statement *st = queue_store_use(
        s, QUEUE_ST_DUE_NAMES,
        "SELECT destination, next_ms, message, number FROM recipient"
        " INDEXED BY recipient_due WHERE destination > ?"
        " ORDER BY destination, next_ms");
    bool row, is_taken = true;

    *name = NULL;
    *next_ms = QUEUE_NEVER_MS;
    db_bind_text(st, 1, after);
    while (is_taken) {
        const char *text;

        if (!db_step(st, &row, err)) {
            own_free(name);
            return false;
        }
        text = row ? db_text(st, 0) : NULL;
        if (!text || (*name && strcmp(*name, text) != 0))
            break;
        if (!*name)
            *name = mem_text(text);
        is_taken =
            is_claimed(s, (uint64_t)db_int(st, 2), (uint32_t)db_int(st, 3));
        if (!is_taken)
            *next_ms = db_int(st, 1);
    }
    db_reset(st);
    return true;
}

/* The earliest attempt of a destination behind now; QUEUE_NEVER_MS: none. */
static bool
find_later(struct queue_store *s, const char *destination, int64_t now_ms,
           int64_t *at, struct err *err)
{
    struct db_statement *st =
        queue_store_use(s, QUEUE_ST_DUE_LATER,
                        "SELECT next_ms FROM recipient INDEXED BY recipient_due"
                        " WHERE destination = ? AND next_ms > ?"
                        " ORDER BY next_ms LIMIT 1");
    bool row;

    db_bind_text(st, 1, destination);
    db_bind_int(st, 2, now_ms);
    if (!db_step(st, &row, err))
        return false;
    *at = row ? db_int(st, 0) : QUEUE_NEVER_MS;
    db_reset(st);
    return true;
}

static void
drop_names(char **names, size_t *count)
{
    while (*count > 0)
        free(names[--*count]);
}

bool
queue_store_due(struct queue_store *s, const char *after, int64_t now_ms,
                size_t max, char **names, size_t *count, int64_t *next_ms,
                bool *end, struct err *err)
{
    scoped(own_free) char *last = mem_text(after);

    *count = 0;
    *end = false;
    while (*count < max) {
        scoped(own_free) char *name = NULL;
        int64_t at;

        if (!next_destination(s, last, &name, &at, err)) {
            drop_names(names, count);
            return false;
        }
        if (!name) {
            *end = true;
            break;
        }
        if (at <= now_ms) {
            names[(*count)++] = mem_text(name);
            if (!find_later(s, name, now_ms, &at, err)) {
                drop_names(names, count);
                return false;
            }
        }
        if (at != QUEUE_NEVER_MS && at < *next_ms)
            *next_ms = at;
        own_free(&last);
        last = take(&name);
    }
    return true;
}

/* --- claims --- */

struct key {
    uint64_t id;
    uint32_t number;
};

/* One call of queue_store_claim. */
struct batch {
    struct queue_store *store;
    const char *destination; /* NULL: any */
    struct key *keys;
    size_t key_count;
    struct queue_message **out;
    size_t count;
    enum queue_hold *held; /* by key */
    size_t bad;            /* rows that failed */
    struct err why;        /* the last of them did */
};

static bool
find_due(struct batch *b, int64_t now_ms, size_t max, bool *more,
         struct err *err)
{
    struct db_statement *st = queue_store_use(
        b->store, QUEUE_ST_DUE_ROWS,
        "SELECT message, number FROM recipient INDEXED BY recipient_due"
        " WHERE destination = ? AND next_ms <= ? ORDER BY next_ms");
    bool row;

    db_bind_text(st, 1, b->destination);
    db_bind_int(st, 2, now_ms < QUEUE_NEVER_MS ? now_ms : QUEUE_NEVER_MS - 1);
    *more = false;
    while (!*more) {
        struct key k;

        if (!db_step(st, &row, err))
            return false;
        if (!row)
            break;
        k = (struct key){(uint64_t)db_int(st, 0), (uint32_t)db_int(st, 1)};
        if (is_claimed(b->store, k.id, k.number))
            continue;
        *more = b->key_count == max;
        if (!*more)
            b->keys[b->key_count++] = k;
    }
    db_reset(st);
    return true;
}

static bool
damaged(struct err *err, uint64_t id)
{
    return err_set(err, ERR_INPUT, "message %llx is damaged in the store",
                   (unsigned long long)id);
}

/* Puts the row out of everybody's way; whatever ran into it is told. */
static void
set_aside(struct batch *b, struct key k, const struct err *why)
{
    struct queue_claim claim = {.id = k.id,
                                .number = k.number,
                                .state = QUEUE_STATE_HELD,
                                .is_bad = true};

    queue_claims_put(b->store->claims, &claim);
    b->bad++;
    b->why = *why;
}

static bool
load_message(struct queue_store *s, uint64_t id, struct queue_message **out,
             struct err *err)
{
    struct db_statement *st = queue_store_use(
        s, QUEUE_ST_MESSAGE_GET,
        "SELECT arrived_ms, size, flags, ret, sender, envid, sum, origin,"
        " message_id FROM message WHERE id = ?");
    scoped(queue_message_free) struct queue_message *m = queue_message_new();
    unsigned flags;
    uint64_t sum;
    bool row;

    db_bind_int(st, 1, (int64_t)id);
    if (!db_step(st, &row, err))
        return false;
    if (!row) {
        db_reset(st);
        return damaged(err, id);
    }
    flags = (unsigned)db_int(st, 2);
    m->id = id;
    m->arrived_ms = db_int(st, 0);
    m->size = (uint64_t)db_int(st, 1);
    queue_store_set_flags(m, flags);
    m->envelope.ret = (enum mail_ret)db_int(st, 3);
    m->envelope.from = mem_text(db_text(st, 4));
    m->envelope.envid = mem_text(db_text(st, 5));
    sum = (uint64_t)db_int(st, 6);
    m->origin = mem_text(db_text(st, 7));
    m->message_id = mem_text(db_text(st, 8));
    db_reset(st);
    if (!m->envelope.from || sum != queue_store_message_sum(m, flags))
        return damaged(err, id);
    *out = take(&m);
    return true;
}

/* The message that the recipient belongs to: the one that is there already,
 * since recipients of one message are close together, or a new one. */
static bool
find_message(struct batch *b, uint64_t id, struct queue_message **m,
             struct err *err)
{
    for (size_t i = b->count; i > 0; i--)
        if (b->out[i - 1]->id == id) {
            *m = b->out[i - 1];
            return true;
        }
    if (!load_message(b->store, id, m, err))
        return false;
    b->out[b->count++] = *m;
    return true;
}

static void
add_rcpt(struct queue_message *m, const struct key *k, struct db_statement *st)
{
    struct mail_rcpt *r = mail_envelope_add(&m->envelope);
    size_t n = m->envelope.rcpt_count;

    m->rcpt = mem_resized(m->rcpt, n, sizeof(*m->rcpt));
    m->rcpt[n - 1] = (struct queue_rcpt){
        .number = k->number,
        .destination = mem_text(db_text(st, 4)),
        .attempts = (uint32_t)db_int(st, 1),
        .next_ms = db_int(st, 0),
        .warned = db_int(st, 2) != 0,
        .last = mem_text(db_text(st, 10)),
    };
    r->domain = mem_text(db_text(st, 5));
    r->address = mem_text(db_text(st, 6));
    r->orcpt = mem_text(db_text(st, 7));
    r->notify = (uint8_t)db_int(st, 8);
}

static bool
is_sound(const struct batch *b, const struct queue_message *m, uint64_t sum)
{
    size_t last = m->envelope.rcpt_count - 1;
    const struct mail_rcpt *r = &m->envelope.rcpt[last];
    const struct queue_rcpt *q = &m->rcpt[last];

    return r->address && r->domain && q->destination &&
           (!b->destination || strcmp(q->destination, b->destination) == 0) &&
           q->number < QUEUE_NUMBERS_MAX &&
           sum == queue_store_rcpt_sum(m->id, q->number, r, q->destination);
}

static void
drop_last_rcpt(struct queue_message *m)
{
    size_t last = m->envelope.rcpt_count - 1;
    struct mail_rcpt *r = &m->envelope.rcpt[last];

    own_free(&m->rcpt[last].destination);
    own_free(&m->rcpt[last].last);
    own_free(&r->address);
    own_free(&r->domain);
    own_free(&r->orcpt);
    m->envelope.rcpt_count = last;
}

static bool
load_rcpt(struct batch *b, size_t i, struct err *err)
{
    const struct key *k = &b->keys[i];
    struct queue_message *m = NULL;
    struct db_statement *st;
    uint64_t sum = 0;
    bool row;

    if (!find_message(b, k->id, &m, err))
        return false;
    st = queue_store_use(
        b->store, QUEUE_ST_RCPT_GET,
        "SELECT next_ms, attempts, warned, held, destination, domain, address,"
        " orcpt, notify, sum, last FROM recipient"
        " WHERE message = ? AND number = ?");
    db_bind_int(st, 1, (int64_t)k->id);
    db_bind_int(st, 2, k->number);
    if (!db_step(st, &row, err))
        return false;
    if (row) {
        add_rcpt(m, k, st);
        b->held[i] = (enum queue_hold)db_int(st, 3);
        sum = (uint64_t)db_int(st, 9);
    }
    db_reset(st);
    if (row && b->held[i] != QUEUE_HELD && is_sound(b, m, sum))
        return true;
    if (row)
        drop_last_rcpt(m);
    return damaged(err, k->id);
}

/* What cannot be read is set aside; other failures end the call. */
static bool
load_all(struct batch *b, struct err *err)
{
    for (size_t i = 0; i < b->key_count; i++) {
        if (load_rcpt(b, i, err))
            continue;
        if (err->kind != ERR_INPUT)
            return false;
        set_aside(b, b->keys[i], err);
    }
    return true;
}

static bool
load_bodies(struct batch *b, size_t *budget, struct err *err)
{
    for (size_t i = 0; i < b->count; i++) {
        struct queue_message *m = b->out[i];

        if (m->size > QUEUE_CHUNK || m->size > *budget || m->size == 0)
            continue;
        if (queue_store_read(b->store, m->id, 0, &m->body, err) &&
            m->body.len == m->size) {
            *budget -= m->body.len;
            continue;
        }
        if (m->body.len != 0)
            (void)damaged(err, m->id);
        if (err->kind != ERR_INPUT)
            return false;
        for (size_t r = 0; r < m->envelope.rcpt_count; r++)
            set_aside(b, (struct key){m->id, m->rcpt[r].number}, err);
    }
    return true;
}

/* Which of those at hand leads the message: `count` when another one does. */
static bool
find_leader(struct queue_store *s, const struct queue_message *m, size_t *out,
            struct err *err)
{
    size_t n = m->envelope.rcpt_count;
    bool leads;

    *out = n;
    for (size_t i = 0; i < n; i++)
        if (*out == n || m->rcpt[i].number < m->rcpt[*out].number)
            *out = i;
    if (*out == n)
        return true;
    if (!queue_store_leads(s, m->id, m->rcpt[*out].number, &leads, err))
        return false;
    if (!leads)
        *out = n;
    return true;
}

static bool
find_leaders(struct batch *b, size_t *leader, struct err *err)
{
    for (size_t i = 0; i < b->count; i++)
        if (!find_leader(b->store, b->out[i], &leader[i], err))
            return false;
    return true;
}

static void
claim_rcpts(struct queue_store *s, const struct queue_message *m, size_t leader)
{
    for (size_t i = 0; i < m->envelope.rcpt_count; i++) {
        struct queue_claim claim = {
            .id = m->id,
            .number = m->rcpt[i].number,
            .state = queue_store_state(m->rcpt[i].attempts, QUEUE_FREE),
            .leads = i == leader,
            .size = m->size,
        };

        queue_claims_put(s->claims, &claim);
    }
}

static void
free_all(struct batch *b)
{
    while (b->count > 0)
        queue_message_free(&b->out[--b->count]);
}

/* Deleted while it was worked on, by a relay that then came to an end. */
static bool
bury(struct batch *b, bool *any, struct err *err)
{
    *any = false;
    for (size_t i = 0; i < b->key_count; i++) {
        if (b->held[i] != QUEUE_DOOMED)
            continue;
        *any = true;
        if (!queue_store_delete(b->store, b->keys[i].id, b->keys[i].number,
                                err))
            return false;
    }
    return true;
}

static bool
fill(struct batch *b, int64_t now_ms, size_t max, size_t *budget, bool *more,
     struct err *err)
{
    bool any = true;

    while (any) {
        free_all(b);
        b->key_count = 0;
        memset(b->held, 0, max * sizeof(*b->held));
        if (!find_due(b, now_ms, max, more, err) || !load_all(b, err) ||
            !bury(b, &any, err))
            return false;
    }
    if (!load_bodies(b, budget, err))
        return false;
    if (b->bad == 0)
        return true;
    *err = b->why;
    return false;
}

bool
queue_store_claim(struct queue_store *s, const char *destination,
                  int64_t now_ms, size_t max, size_t *body_budget,
                  struct queue_message **out, size_t *count, bool *more,
                  struct err *err)
{
    scoped(own_free) struct key *keys = mem_array(struct key, max);
    scoped(own_free) enum queue_hold *held = mem_array(enum queue_hold, max);
    scoped(own_free) size_t *leader = mem_array(size_t, max);
    struct batch b = {.store = s,
                      .destination = destination,
                      .keys = keys,
                      .held = held,
                      .out = out};
    size_t budget = *body_budget;

    *count = 0;
    *more = false;
    if (!fill(&b, now_ms, max, &budget, more, err) ||
        !find_leaders(&b, leader, err)) {
        free_all(&b);
        return false;
    }
    for (size_t i = 0; i < b.count; i++)
        claim_rcpts(s, out[i], leader[i]);
    *body_budget = budget;
    *count = b.count;
    return true;
}

/* --- what has been waiting for long --- */

/* Moves *last over what is claimed or held, too. */
static bool
find_aged(struct batch *b, uint64_t before, size_t max, uint64_t *last,
          struct err *err)
{
    struct db_statement *st = queue_store_use(
        b->store, QUEUE_ST_AGED_ROWS,
        "SELECT message, number, held FROM recipient"
        " WHERE message > ? AND message < ? ORDER BY message, number");
    bool row = true;

    db_bind_int(st, 1, (int64_t)*last);
    db_bind_int(st, 2, (int64_t)before);
    while (row) {
        struct key k;

        if (!db_step(st, &row, err))
            return false;
        if (!row)
            break;
        k = (struct key){(uint64_t)db_int(st, 0), (uint32_t)db_int(st, 1)};
        if (b->key_count == max)
            break;
        *last = k.id;
        if (db_int(st, 2) == QUEUE_FREE &&
            !is_claimed(b->store, k.id, k.number))
            b->keys[b->key_count++] = k;
    }
    db_reset(st);
    return true;
}

bool
queue_store_claim_aged(struct queue_store *s, uint64_t before, size_t max,
                       uint64_t *last, struct queue_message **out,
                       size_t *count, struct err *err)
{
    scoped(own_free) struct key *keys = mem_array(struct key, max);
    scoped(own_free) enum queue_hold *held = mem_array(enum queue_hold, max);
    scoped(own_free) size_t *leader = mem_array(size_t, max);
    struct batch b = {.store = s, .keys = keys, .held = held, .out = out};
    uint64_t from = *last;

    *count = 0;
    if (!find_aged(&b, before, max, last, err) || !load_all(&b, err) ||
        !find_leaders(&b, leader, err)) {
        free_all(&b);
        *last = from;
        return false;
    }
    for (size_t i = 0; i < b.count; i++)
        claim_rcpts(s, out[i], leader[i]);
    *count = b.count;
    return true;
}

void
queue_store_release(struct queue_store *s, uint64_t id, const uint32_t *numbers,
                    size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct queue_claim *claim =
            queue_claims_find(s->claims, id, numbers[i]);

        if (claim && !claim->is_bad)
            queue_claims_drop(s->claims, id, numbers[i]);
    }
}
