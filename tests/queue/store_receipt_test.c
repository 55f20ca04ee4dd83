#include "store_fixture.h"

static uint64_t
enqueue_by(struct fixture *f, const char *key, char digest, int64_t at_ms)
{
    static const char *const to[] = {"a@one.example"};
    struct queue_message *m = message_to(f, to, 1, 100);
    uint64_t id = m->id;

    m->arrived_ms = at_ms;
    m->receipt = mem_new(struct queue_receipt);
    memcpy(m->receipt->key, key, strlen(key) + 1);
    memset(m->receipt->digest, digest, sizeof(m->receipt->digest));
    OK(f, queue_store_enqueue(f->s, m, false, &f->err));
    queue_message_free(&m);
    return id;
}

/* 0: there is none. */
static uint64_t
find(struct fixture *f, const char *key, int64_t now_ms, char digest)
{
    struct queue_receipt got;
    uint64_t id = 0;

    if (!queue_store_receipt_find(f->s, key, now_ms, &id, &got, &f->err)) {
        assert_int_equal(f->err.kind, ERR_MISSING);
        return 0;
    }
    assert_string_equal(got.key, key);
    for (size_t i = 0; i < sizeof(got.digest); i++)
        assert_int_equal(got.digest[i], digest);
    return id;
}

static void
a_receipt_is_kept_with_its_message(void **state)
{
    struct fixture *f = *state;
    uint64_t id;

    OK(f, queue_store_begin(f->s, &f->err));
    id = enqueue_by(f, "k 'one'", 7, NOW);
    OK(f, queue_store_commit(f->s, &f->err));
    reopen(f);
    assert_int_equal(find(f, "k 'one'", NOW, 7), id);
    assert_int_equal(find(f, "K 'ONE'", NOW, 7), 0);
    assert_int_equal(find(f, "", NOW, 7), 0);
}

static void
without_its_message_there_is_none(void **state)
{
    struct fixture *f = *state;

    OK(f, queue_store_begin(f->s, &f->err));
    (void)enqueue_by(f, "k", 7, NOW);
    queue_store_rollback(f->s);
    assert_int_equal(find(f, "k", NOW, 7), 0);
}

static void
after_a_day_a_key_is_free_again(void **state)
{
    struct fixture *f = *state;
    uint64_t id = enqueue_by(f, "k", 7, NOW);

    assert_int_equal(find(f, "k", NOW + QUEUE_RECEIPT_MS, 7), id);
    assert_int_equal(find(f, "k", NOW + QUEUE_RECEIPT_MS + 1, 7), 0);
    id = enqueue_by(f, "k", 8, NOW + QUEUE_RECEIPT_MS + 1);
    assert_int_equal(find(f, "k", NOW + QUEUE_RECEIPT_MS + 1, 8), id);
}

static unsigned
count(struct fixture *f)
{
    scoped(own_free) char *path = mem_text(scratch_file(&f->dir, "queue.db"));
    sqlite3_stmt *st;
    sqlite3 *db;
    unsigned n;

    queue_store_close(&f->s);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(
        sqlite3_prepare_v2(db, "SELECT count(*) FROM receipt", -1, &st, NULL),
        SQLITE_OK);
    assert_int_equal(sqlite3_step(st), SQLITE_ROW);
    n = (unsigned)sqlite3_column_int(st, 0);
    (void)sqlite3_finalize(st);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    open_store(f);
    return n;
}

static void
old_ones_go_while_new_ones_come(void **state)
{
    struct fixture *f = *state;
    char key[16];

    OK(f, queue_store_begin(f->s, &f->err));
    for (int i = 0; i < 200; i++) {
        (void)snprintf(key, sizeof(key), "k%d", i);
        (void)enqueue_by(f, key, 1,
                         (int64_t)NOW + (int64_t)i * (QUEUE_RECEIPT_MS / 20));
    }
    OK(f, queue_store_commit(f->s, &f->err));
    assert_in_range(count(f), 20, 22);
}

static void
there_are_never_more_than_the_limit(void **state)
{
    struct fixture *f = *state;
    scoped(own_free) char *path = mem_text(scratch_file(&f->dir, "queue.db"));
    sqlite3 *db;

    OK(f, queue_store_begin(f->s, &f->err));
    for (char c = 'a'; c <= 'e'; c++)
        (void)enqueue_by(f, (char[]){c, 0}, c, NOW);
    OK(f, queue_store_commit(f->s, &f->err));
    queue_store_close(&f->s);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db,
                                  "UPDATE receipt SET number = number + 999997"
                                  " WHERE key = 'e'",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    open_store(f);
    OK(f, queue_store_begin(f->s, &f->err));
    (void)enqueue_by(f, "f", 'f', NOW);
    OK(f, queue_store_commit(f->s, &f->err));
    assert_int_equal(find(f, "a", NOW, 'a'), 0);
    assert_int_equal(find(f, "b", NOW, 'b'), 0);
    assert_int_not_equal(find(f, "d", NOW, 'd'), 0);
    assert_int_not_equal(find(f, "f", NOW, 'f'), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_receipt_is_kept_with_its_message),
        TEST(without_its_message_there_is_none),
        TEST(after_a_day_a_key_is_free_again),
        TEST(old_ones_go_while_new_ones_come),
        TEST(there_are_never_more_than_the_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
