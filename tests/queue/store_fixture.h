/*
 * tests/queue/store_fixture - a store in a scratch directory, and short ways
 * to fill it.
 */
#ifndef TESTS_QUEUE_STORE_FIXTURE_H
#define TESTS_QUEUE_STORE_FIXTURE_H

#include "queue/store.h"

#include "relay/base/mem.h"
#include "scratch.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/wait.h>

#include <cmocka.h>
#include <sqlite3.h>

enum { NOW = 1700000000, MANY = 1000 };

struct fixture {
    struct scratch dir;
    struct queue_store *s;
    struct err err;
    uint64_t id; /* the last one used */
};

/* Fails the test with the reason that the store gave. */
#define OK(f, call)                                                            \
    do {                                                                       \
        if (!(call))                                                           \
            fail_msg("%s: %s", #call, (f)->err.text);                          \
    } while (0)

static inline void
open_store(struct fixture *f)
{
    struct queue_claimant claimant = {"relay.example.com", 1};

    f->s = queue_store_open(f->dir.path, &claimant, &f->err);
    OK(f, f->s);
}

/* The whole of a change. */
static inline bool
change_all(struct queue_store *s, enum queue_change change,
           const struct queue_filter *f, bool dry, uint64_t *count,
           struct err *err)
{
    struct queue_bulk b = {
        .change = change, .filter = *f, .now_ms = NOW, .dry = dry};

    while (!b.end)
        if (!queue_store_bulk(s, &b, SIZE_MAX, err))
            return false;
    *count = b.count;
    return true;
}

static inline int
set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    scratch_make(&f->dir);
    f->id = 1000;
    *state = f;
    open_store(f);
    return 0;
}

static inline int
tear_down(void **state)
{
    struct fixture *f = *state;

    queue_store_close(&f->s);
    scratch_remove(&f->dir);
    free(f);
    return 0;
}

static inline void
reopen(struct fixture *f)
{
    queue_store_close(&f->s);
    open_store(f);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

static inline void
add_to(struct queue_message *m, const char *address)
{
    struct mail_rcpt *r = mail_envelope_add(&m->envelope);

    r->address = mem_text(address);
    r->domain = mem_text(strrchr(address, '@') + 1);
}

/* A message of ours to `rcpt_count` addresses; the body is `size` octets. */
static inline struct queue_message *
message_to(struct fixture *f, const char *const *rcpt, size_t rcpt_count,
           size_t size)
{
    struct queue_message *m = queue_message_new();

    m->id = ++f->id;
    m->arrived_ms = NOW;
    m->size = size;
    m->envelope.from = mem_text("app@sender.example");
    m->origin = mem_text("127.0.0.1 (app)");
    m->message_id = mem_text("<1@sender.example>");
    if (size > 0)
        memset(buf_room(&m->body, size), 'x', size);
    m->body.len = size;
    for (size_t i = 0; i < rcpt_count; i++)
        add_to(m, rcpt[i]);
    queue_message_number(m);
    for (size_t i = 0; i < rcpt_count; i++) {
        m->rcpt[i].destination = mem_text(m->envelope.rcpt[i].domain);
        m->rcpt[i].next_ms = NOW;
    }
    return m;
}

/* Enqueues one message of 100 octets; returns its id. */
static inline uint64_t
enqueue_to(struct fixture *f, bool claim, size_t n, const char *const *rcpt)
{
    struct queue_message *m = message_to(f, rcpt, n, 100);

    OK(f, queue_store_begin(f->s, &f->err));
    OK(f, queue_store_enqueue(f->s, m, claim, &f->err));
    OK(f, queue_store_commit(f->s, &f->err));
    queue_message_free(&m);
    return f->id;
}

#define ENQUEUE(f, claim, ...)                                                 \
    enqueue_to((f), (claim),                                                   \
               sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *),    \
               (const char *const[]){__VA_ARGS__})

static inline struct queue_result
result_of(uint32_t number, enum queue_outcome outcome)
{
    return (struct queue_result){
        .number = number,
        .address = "somebody@dest.example",
        .outcome = outcome,
        .next_ms = outcome == QUEUE_DEFERRED ? NOW + 60000 : 0,
        .reason = "250 2.0.0 ok",
        .attempt = SIZE_MAX,
    };
}

static inline bool
settle_in(struct fixture *f, uint64_t id, uint32_t number,
          enum queue_outcome outcome)
{
    struct queue_result r = result_of(number, outcome);
    struct queue_settlement x = {.id = id, .results = &r, .result_count = 1};

    return queue_store_settle(f->s, &x, &f->err);
}

static inline void
settle(struct fixture *f, uint64_t id, uint32_t number,
       enum queue_outcome outcome)
{
    OK(f, queue_store_begin(f->s, &f->err));
    OK(f, settle_in(f, id, number, outcome));
    OK(f, queue_store_commit(f->s, &f->err));
}

/* Claims everything due for a destination; returns how many recipients, and
 * the first message in *m (may be NULL). */
static inline size_t
claim_at(struct fixture *f, const char *destination, int64_t now,
         struct queue_message **m)
{
    static struct queue_message *got[MANY];
    size_t count, n = 0, budget = 1 << 20;
    bool more;

    OK(f, queue_store_claim(f->s, destination, now, MANY, &budget, got, &count,
                            &more, &f->err));
    assert_false(more);
    for (size_t i = 0; i < count; i++) {
        n += got[i]->envelope.rcpt_count;
        if (i > 0 || !m)
            queue_message_free(&got[i]);
    }
    if (m)
        *m = count ? got[0] : NULL;
    return n;
}

static inline size_t
claim(struct fixture *f, const char *destination)
{
    return claim_at(f, destination, NOW, NULL);
}

static inline struct queue_counts
counts(struct fixture *f)
{
    struct queue_counts c;

    OK(f, queue_store_count(f->s, &c, &f->err));
    return c;
}

/* What a listing says of the same: the first row of a message is its
 * leader's. */
struct listed {
    uint64_t last, by_state[QUEUE_STATE_ACTIVE + 1];
    struct queue_share led[QUEUE_STATE_ACTIVE + 1];
};

static inline void
count_listed(void *ctx, const struct queue_row *row)
{
    struct listed *x = ctx;

    x->by_state[row->state]++;
    if (row->id != x->last)
        queue_share_add(&x->led[row->state], row->size);
    x->last = row->id;
}

static inline void
check_against_list(struct fixture *f)
{
    struct queue_counts kept = counts(f);
    struct queue_cursor cursor = {0};
    struct queue_filter all = {0};
    struct listed listed = {0};
    struct queue_share sum = {0};
    bool end = false;

    while (!end)
        OK(f, queue_store_list(f->s, &all, &cursor, MANY, count_listed, &listed,
                               &end, &f->err));
    for (int i = QUEUE_STATE_QUEUED; i <= QUEUE_STATE_ACTIVE; i++) {
        assert_int_equal(kept.by_state[i], listed.by_state[i]);
        assert_int_equal(kept.led[i].messages, listed.led[i].messages);
        assert_int_equal(kept.led[i].octets, listed.led[i].octets);
        sum.messages += kept.led[i].messages;
        sum.octets += kept.led[i].octets;
    }
    assert_int_equal(kept.messages, sum.messages);
    assert_int_equal(kept.octets, sum.octets);
}

/* The same numbers, counted afresh. */
static inline void
check_counts(struct fixture *f)
{
    struct queue_counts kept = counts(f), fresh;

    check_against_list(f);
    reopen(f);
    fresh = counts(f);
    assert_int_equal(kept.messages, fresh.messages);
    assert_int_equal(kept.recipients, fresh.recipients);
    assert_int_equal(kept.octets, fresh.octets);
    assert_int_equal(kept.oldest_ms, fresh.oldest_ms);
    check_against_list(f);
}

/* What a query says about the closed file. */
static inline int64_t
ask(struct fixture *f, const char *sql)
{
    sqlite3 *db;
    sqlite3_stmt *st;
    int64_t n;

    queue_store_close(&f->s);
    assert_int_equal(sqlite3_open(scratch_file(&f->dir, "queue.db"), &db),
                     SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &st, NULL), SQLITE_OK);
    n = sqlite3_step(st) == SQLITE_ROW ? sqlite3_column_int64(st, 0) : -1;
    (void)sqlite3_finalize(st);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    open_store(f);
    return n;
}

#endif
