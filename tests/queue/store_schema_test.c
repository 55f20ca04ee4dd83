#include "store_fixture.h"

/*
 * schema/N.sql is a store as a release of version N has left it: two
 * recipients that wait, one that is held, one that is in the history.  A new
 * version adds a file, made by the release before; none is ever changed.
 */

static bool
read_sql(unsigned version, struct buf *out)
{
    scoped(own_free) char *path = mem_printf("queue/schema/%u.sql", version);
    FILE *in = fopen(path, "r");
    char piece[4096];
    size_t n;

    if (!in)
        return false;
    while ((n = fread(piece, 1, sizeof(piece), in)) > 0)
        buf_add(out, (struct slice){piece, n});
    (void)fclose(in);
    return true;
}

static void
run_sql(const char *path, const char *sql)
{
    sqlite3 *db;
    char *why = NULL;

    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    if (sqlite3_exec(db, sql, NULL, NULL, &why) != SQLITE_OK)
        fail_msg("%s", why);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* The first column of the first row. */
static char *
text_of(const char *path, const char *sql)
{
    sqlite3_stmt *st;
    sqlite3 *db;
    char *text;

    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &st, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(st), SQLITE_ROW);
    text = mem_text((const char *)sqlite3_column_text(st, 0));
    (void)sqlite3_finalize(st);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    return text;
}

/* Puts the store of that version in the place of the fixture's. */
static bool
put_version(struct fixture *f, unsigned version)
{
    scoped(own_free) char *path = mem_text(scratch_file(&f->dir, "queue.db"));
    scoped(buf_free) struct buf sql = {0};

    if (!read_sql(version, &sql))
        return false;
    buf_printf(&sql,
               "PRAGMA application_id = 1587646551; PRAGMA user_version = %u;",
               version);
    queue_store_close(&f->s);
    assert_int_equal(unlink(path), 0);
    run_sql(path, buf_text(&sql));
    return true;
}

static void
count_row(void *ctx, const struct queue_row *row)
{
    unsigned *count = ctx;

    (*count)++;
    assert_string_not_equal(row->from, "");
    assert_non_null(row->last);
}

static void
use_store(struct fixture *f)
{
    const struct queue_filter all = {0};
    scoped(queue_message_free) struct queue_message *m = NULL;
    scoped(buf_free) struct buf body = {0};
    const int64_t then = INT64_MAX / 2;
    unsigned rows = 0;
    bool end;

    OK(f, queue_store_list(f->s, &all, &(struct queue_cursor){0}, 100,
                           count_row, &rows, &end, &f->err));
    assert_int_equal(rows, 3);
    assert_int_equal(counts(f).by_state[QUEUE_STATE_HELD], 1);
    assert_int_equal(claim_at(f, "held.test", then, NULL), 0);
    assert_int_equal(claim_at(f, "waits.test", then, &m), 2);
    assert_string_equal(m->envelope.envid, "one");
    OK(f, queue_store_read(f->s, m->id, 0, &body, &f->err));
    assert_int_equal(body.len, m->size);
    settle(f, m->id, 0, QUEUE_DELIVERED);
    settle(f, m->id, 1, QUEUE_DEFERRED);
    assert_int_equal(counts(f).recipients, 2);
}

static void
a_store_of_each_version_is_upgraded_and_used(void **state)
{
    struct fixture *f = *state;
    unsigned version = 1;

    for (; put_version(f, version); version++) {
        open_store(f);
        use_store(f);
        reopen(f);
        assert_int_equal(counts(f).recipients, 2);
    }
    assert_true(version > 1);
}

static void
each_version_has_its_file(void **state)
{
    struct fixture *f = *state;
    scoped(own_free) char *path = mem_text(scratch_file(&f->dir, "queue.db"));
    scoped(own_free) char *now = NULL;
    scoped(buf_free) struct buf sql = {0};
    unsigned version = 1;

    queue_store_close(&f->s);
    now = text_of(path, "PRAGMA user_version");
    while (read_sql(version, &sql))
        version++;
    assert_int_equal(version - 1, strtoul(now, NULL, 10));
}

/* By whichever way a store has come to this version. */
static void
an_upgraded_store_is_like_a_new_one(void **state)
{
    static const char schema[] =
        "SELECT group_concat(type || name || sql, char(10)) FROM (SELECT * FROM"
        " sqlite_master WHERE sql IS NOT NULL AND name <> 'db_reserve'"
        " ORDER BY name)";
    struct fixture *f = *state;
    scoped(own_free) char *path = mem_text(scratch_file(&f->dir, "queue.db"));
    scoped(own_free) char *fresh = NULL;

    queue_store_close(&f->s);
    fresh = text_of(path, schema);
    open_store(f);
    for (unsigned version = 1; put_version(f, version); version++) {
        scoped(own_free) char *now = NULL;

        open_store(f);
        queue_store_close(&f->s);
        now = text_of(path, schema);
        assert_string_equal(now, fresh);
        open_store(f);
    }
}

static void
an_older_store_is_not_looked_at_but_upgraded(void **state)
{
    struct fixture *f = *state;
    struct queue_store *s;

    (void)put_version(f, 1);
    run_sql(scratch_file(&f->dir, "queue.db"), "PRAGMA user_version = 0");
    s = queue_store_open_read(f->dir.path, &f->err);
    assert_null(s);
    assert_non_null(strstr(f->err.text, "older release"));
    run_sql(scratch_file(&f->dir, "queue.db"), "PRAGMA user_version = 99");
    s = queue_store_open_read(f->dir.path, &f->err);
    assert_null(s);
    assert_non_null(strstr(f->err.text, "newer release"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_store_of_each_version_is_upgraded_and_used),
        TEST(each_version_has_its_file),
        TEST(an_upgraded_store_is_like_a_new_one),
        TEST(an_older_store_is_not_looked_at_but_upgraded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
