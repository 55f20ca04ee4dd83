#include "relay/db/db.h"

#include "scratch.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include <cmocka.h>

static const char *const migrations[] = {
    "CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT, c BLOB);",
    ("ALTER TABLE t ADD COLUMN d INTEGER;"
     "UPDATE t SET d = 7;"),
    "CREATE INDEX t_b ON t (b);",
};

enum { APPLICATION = 0x5ea19057 };

static const struct db_schema schema = {APPLICATION, migrations, 3};

struct fixture {
    struct scratch dir;
    struct db *db;
    struct db_statement *insert, *select;
    struct err err;
};

static int
set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    scratch_make(&f->dir);
    *state = f;
    return 0;
}

static int
tear_down(void **state)
{
    struct fixture *f = *state;

    db_close(&f->db);
    scratch_remove(&f->dir);
    free(f);
    return 0;
}

static bool
open_as(struct fixture *f, enum db_access access, const struct db_schema *s)
{
    f->insert = f->select = NULL;
    f->db = db_open(scratch_file(&f->dir, "t.db"), access, s, &f->err);
    return f->db != NULL;
}

static void
must_open(struct fixture *f)
{
    if (!open_as(f, DB_OWN, &schema))
        fail_msg("%s", f->err.text);
}

static bool
insert(struct fixture *f, int64_t a, const char *b)
{
    struct db_statement *st = db_prepare(
        f->db, &f->insert, "INSERT INTO t (a, b, c) VALUES (?, ?, ?)");

    db_bind_int(st, 1, a);
    db_bind_text(st, 2, b);
    db_bind_blob(st, 3, (struct slice){"x\0y", 3});
    return db_run(st, &f->err);
}

static int64_t
count(struct fixture *f)
{
    struct db_statement *st =
        db_prepare(f->db, &f->select, "SELECT count(*) FROM t");
    int64_t n;
    bool row;

    assert_true(db_step(st, &row, &f->err));
    assert_true(row);
    n = db_int(st, 0);
    db_reset(st);
    return n;
}

static bool
commit_one(struct fixture *f, int64_t a)
{
    if (!db_begin(f->db, &f->err))
        return false;
    if (insert(f, a, "text"))
        return db_commit(f->db, &f->err);
    db_rollback(f->db);
    return false;
}

static void
a_new_file_is_private_and_complete(void **state)
{
    struct fixture *f = *state;
    struct stat st;

    must_open(f);
    assert_int_equal(stat(scratch_file(&f->dir, "t.db"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(stat(scratch_file(&f->dir, "t.db-wal"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(scratch_size(&f->dir, "t.db.new"), -1);
    assert_int_equal(scratch_size(&f->dir, "t.db-shm"), -1);
    assert_false(db_had_wal(f->db));
    assert_true(db_check(f->db, &f->err));
}

static void
rows_survive_closing(void **state)
{
    struct fixture *f = *state;

    must_open(f);
    assert_true(commit_one(f, 1));
    assert_int_equal(db_changes(f->db), 1);
    db_close(&f->db);
    assert_null(f->db);
    assert_int_equal(scratch_size(&f->dir, "t.db-wal"), -1);
    must_open(f);
    assert_int_equal(count(f), 1);
}

static void
values_come_back_as_they_went(void **state)
{
    struct fixture *f = *state;
    struct db_statement *st, *slot = NULL;
    bool row;

    must_open(f);
    assert_true(insert(f, INT64_MIN, "'); DROP TABLE t; --"));
    assert_true(insert(f, INT64_MAX, NULL));
    st = db_prepare(f->db, &slot, "SELECT a, b, c FROM t ORDER BY a");
    assert_true(db_step(st, &row, &f->err) && row);
    assert_true(db_int(st, 0) == INT64_MIN);
    assert_string_equal(db_text(st, 1), "'); DROP TABLE t; --");
    assert_int_equal(db_blob(st, 2).len, 3);
    assert_memory_equal(db_blob(st, 2).p, "x\0y", 3);
    assert_true(db_step(st, &row, &f->err) && row);
    assert_true(db_int(st, 0) == INT64_MAX);
    assert_true(db_is_null(st, 1));
    assert_null(db_text(st, 1));
    assert_true(db_step(st, &row, &f->err));
    assert_false(row);
    db_reset(st);
}

static void
an_empty_blob_is_not_null(void **state)
{
    struct fixture *f = *state;
    struct db_statement *st, *slot = NULL, *slot2 = NULL;
    bool row;

    must_open(f);
    st = db_prepare(f->db, &slot, "INSERT INTO t (a, c) VALUES (1, ?)");
    db_bind_blob(st, 1, (struct slice){NULL, 0});
    assert_true(db_run(st, &f->err));
    st = db_prepare(f->db, &slot2, "SELECT c, d FROM t");
    assert_true(db_step(st, &row, &f->err) && row);
    assert_false(db_is_null(st, 0));
    assert_int_equal(db_blob(st, 0).len, 0);
    assert_true(db_is_null(st, 1));
    db_reset(st);
}

static void
a_statement_is_found_again_reset_and_unbound(void **state)
{
    struct fixture *f = *state;
    struct db_statement *st, *slot = NULL;
    const char *sql = "SELECT ?";
    bool row;

    must_open(f);
    st = db_prepare(f->db, &slot, sql);
    db_bind_int(st, 1, 5);
    assert_true(db_step(st, &row, &f->err) && row);
    assert_ptr_equal(db_prepare(f->db, &slot, sql), st);
    assert_true(db_step(st, &row, &f->err) && row);
    assert_true(db_is_null(st, 0));
    db_reset(st);
}

static void
a_statement_that_cannot_be_prepared_fails_when_run(void **state)
{
    struct fixture *f = *state;
    struct db_statement *st, *slot = NULL;

    must_open(f);
    st = db_prepare(f->db, &slot, "SELECT * FROM missing WHERE a = ?");
    db_bind_int(st, 1, 1);
    db_bind_text(st, 1, "x");
    assert_false(db_run(st, &f->err));
    assert_int_equal(f->err.kind, ERR_SYSTEM);
    assert_true(db_exec(f->db, "CREATE TABLE missing (a)", &f->err));
    st = db_prepare(f->db, &slot, "SELECT * FROM missing WHERE a = ?");
    assert_true(db_run(st, &f->err));
}

static void
what_is_too_large_fails_when_run(void **state)
{
    struct fixture *f = *state;
    struct db_statement *st, *slot = NULL;
    size_t len = 65 * 1024 * 1024;
    char *large = calloc(1, len);

    must_open(f);
    st = db_prepare(f->db, &slot, "INSERT INTO t (c) VALUES (?)");
    db_bind_blob(st, 1, (struct slice){large, len});
    assert_false(db_run(st, &f->err));
    st = db_prepare(f->db, &slot, "INSERT INTO t (c) VALUES (?)");
    db_bind_blob(st, 1, slice_of("small"));
    assert_true(db_run(st, &f->err));
    free(large);
}

static void
rollback_undoes_all(void **state)
{
    struct fixture *f = *state;

    must_open(f);
    assert_true(db_begin(f->db, &f->err));
    assert_true(insert(f, 1, "x"));
    db_rollback(f->db);
    assert_int_equal(count(f), 0);
    db_rollback(f->db); /* nothing to roll back */
    assert_true(commit_one(f, 2));
    assert_int_equal(count(f), 1);
}

static void
a_failed_statement_leaves_the_transaction_usable(void **state)
{
    struct fixture *f = *state;

    must_open(f);
    assert_true(db_begin(f->db, &f->err));
    assert_true(insert(f, 1, "x"));
    assert_false(insert(f, 1, "y"));
    assert_int_equal(f->err.kind, ERR_SYSTEM);
    assert_true(db_commit(f->db, &f->err));
    assert_int_equal(count(f), 1);
    assert_false(db_commit(f->db, &f->err)); /* of nothing */
}

static void
a_commit_survives_a_kill_and_what_is_open_does_not(void **state)
{
    struct fixture *f = *state;
    pid_t pid = fork();
    int status;

    if (pid == 0) {
        if (!open_as(f, DB_OWN, &schema) || !commit_one(f, 1) ||
            !db_begin(f->db, &f->err) || !insert(f, 2, "x"))
            _exit(1);
        (void)kill(getpid(), SIGKILL);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    must_open(f);
    assert_true(db_had_wal(f->db));
    assert_int_equal(count(f), 1);
}

static int
exit_of(pid_t pid)
{
    int status;

    return waitpid(pid, &status, 0) == pid && WIFEXITED(status)
               ? WEXITSTATUS(status)
               : -1;
}

static void
a_second_owner_is_refused(void **state)
{
    struct fixture *f = *state;
    pid_t pid;

    must_open(f);
    assert_true(commit_one(f, 1));
    pid = fork();
    if (pid == 0) {
        bool refused = !open_as(f, DB_READ, &schema) &&
                       f->err.kind == ERR_SYSTEM &&
                       strstr(f->err.text, "in use");

        refused = refused && !open_as(f, DB_OWN, &schema) &&
                  f->err.kind == ERR_SYSTEM && strstr(f->err.text, "in use");
        _exit(refused ? 0 : 1);
    }
    assert_int_equal(exit_of(pid), 0);
    assert_true(commit_one(f, 2));
    assert_int_equal(count(f), 2);
}

static void
looking_changes_nothing(void **state)
{
    struct fixture *f = *state;
    long size;

    must_open(f);
    assert_true(commit_one(f, 1));
    db_close(&f->db);
    assert_true(open_as(f, DB_READ, &schema));
    assert_int_equal(count(f), 1);
    assert_false(insert(f, 9, "x"));
    db_close(&f->db);
    size = scratch_size(&f->dir, "t.db");
    assert_true(open_as(f, DB_READ, &schema));
    db_close(&f->db);
    assert_int_equal(scratch_size(&f->dir, "t.db"), size);
    must_open(f);
    assert_false(db_had_wal(f->db));
    assert_int_equal(count(f), 1);
}

static void
looking_reads_what_a_crash_left_in_the_wal(void **state)
{
    struct fixture *f = *state;
    pid_t pid = fork();
    long file, wal;

    if (pid == 0)
        _exit(open_as(f, DB_OWN, &schema) && commit_one(f, 1) ? 0 : 1);
    assert_int_equal(exit_of(pid), 0);
    file = scratch_size(&f->dir, "t.db");
    wal = scratch_size(&f->dir, "t.db-wal");
    assert_true(open_as(f, DB_READ, &schema));
    assert_int_equal(count(f), 1);
    db_close(&f->db);
    assert_int_equal(scratch_size(&f->dir, "t.db"), file);
    assert_int_equal(scratch_size(&f->dir, "t.db-wal"), wal);
    must_open(f);
    assert_int_equal(count(f), 1);
}

static void
a_wal_that_a_crash_has_cut_anywhere_opens(void **state)
{
    enum { STEP = 997 };
    struct fixture *f = *state;
    pid_t pid = fork();
    int64_t before = 3;
    long wal;

    if (pid == 0)
        _exit(open_as(f, DB_OWN, &schema) && commit_one(f, 1) &&
                      commit_one(f, 2) && commit_one(f, 3)
                  ? 0
                  : 1);
    assert_int_equal(exit_of(pid), 0);
    scratch_copy(&f->dir, "t.db", "whole");
    scratch_copy(&f->dir, "t.db-wal", "whole-wal");
    wal = scratch_size(&f->dir, "whole-wal");
    assert_true(wal > 3 * 4096);
    for (long len = wal; len >= 0; len -= len > 80 ? STEP : 20) {
        scratch_copy(&f->dir, "whole", "t.db");
        scratch_copy(&f->dir, "whole-wal", "t.db-wal");
        assert_int_equal(truncate(scratch_file(&f->dir, "t.db-wal"), len), 0);
        must_open(f);
        assert_true(count(f) == before || count(f) == before - 1);
        before = count(f);
        assert_true(db_check(f->db, &f->err));
        db_close(&f->db);
    }
    assert_int_equal(before, 0);
}

static void
there_is_nothing_to_look_at(void **state)
{
    struct fixture *f = *state;

    assert_false(open_as(f, DB_READ, &schema));
    assert_int_equal(f->err.kind, ERR_MISSING);
    assert_int_equal(scratch_size(&f->dir, "t.db"), -1);
}

static void
refused(struct fixture *f, enum err_kind kind, const char *why)
{
    if (open_as(f, DB_OWN, &schema))
        fail_msg("opened: %s", why);
    assert_int_equal(f->err.kind, kind);
    if (!strstr(f->err.text, why))
        fail_msg("%s", f->err.text);
}

static void
what_is_not_ours_is_refused_and_left_alone(void **state)
{
    struct fixture *f = *state;
    const struct db_schema other = {APPLICATION + 1, migrations, 1};
    char garbage[5000];

    memset(garbage, 'g', sizeof(garbage));
    scratch_write(&f->dir, "t.db", garbage, sizeof(garbage));
    refused(f, ERR_INPUT, "not a database");
    assert_int_equal(scratch_size(&f->dir, "t.db"), sizeof(garbage));
    (void)unlink(scratch_file(&f->dir, "t.db"));

    scratch_write(&f->dir, "t.db", "", 0);
    refused(f, ERR_INPUT, "is empty");
    assert_int_equal(scratch_size(&f->dir, "t.db"), 0);
    scratch_write(&f->dir, "t.db-wal", garbage, sizeof(garbage));
    refused(f, ERR_INPUT, "is empty");
    (void)unlink(scratch_file(&f->dir, "t.db"));
    refused(f, ERR_SYSTEM, "is missing");
    (void)unlink(scratch_file(&f->dir, "t.db-wal"));

    assert_true(open_as(f, DB_OWN, &other));
    db_close(&f->db);
    refused(f, ERR_INPUT, "another application");
    (void)unlink(scratch_file(&f->dir, "t.db"));

    assert_int_equal(mkdir(scratch_file(&f->dir, "t.db"), 0700), 0);
    refused(f, ERR_INPUT, "no regular file");
    (void)rmdir(scratch_file(&f->dir, "t.db"));
}

static void
a_newer_version_is_refused(void **state)
{
    struct fixture *f = *state;
    struct db_schema older = schema;

    must_open(f);
    db_close(&f->db);
    older.count = 2;
    assert_false(open_as(f, DB_OWN, &older));
    assert_int_equal(f->err.kind, ERR_INPUT);
    assert_non_null(strstr(f->err.text, "newer"));
    must_open(f);
}

static void
every_older_version_is_migrated_with_its_rows(void **state)
{
    struct fixture *f = *state;

    for (size_t from = 1; from <= schema.count; from++) {
        struct db_schema older = schema;

        older.count = from;
        assert_true(open_as(f, DB_OWN, &older));
        assert_true(commit_one(f, 1));
        db_close(&f->db);
        if (from < schema.count) {
            assert_false(open_as(f, DB_READ, &schema));
            assert_non_null(strstr(f->err.text, "older"));
        }
        must_open(f);
        assert_int_equal(count(f), 1);
        assert_true(db_exec(f->db, "UPDATE t SET d = 1", &f->err));
        db_close(&f->db);
        assert_int_equal(unlink(scratch_file(&f->dir, "t.db")), 0);
    }
}

static void
a_migration_that_fails_leaves_the_version_before(void **state)
{
    struct fixture *f = *state;
    const char *const bad[] = {migrations[0],
                               "CREATE TABLE u (a); CREATE TABLE t (a);"};
    const struct db_schema broken = {APPLICATION, bad, 2};
    struct db_schema first = schema;

    first.count = 1;
    assert_true(open_as(f, DB_OWN, &first));
    assert_true(commit_one(f, 1));
    db_close(&f->db);
    assert_false(open_as(f, DB_OWN, &broken));
    assert_non_null(strstr(f->err.text, "migration to version 2"));
    assert_true(open_as(f, DB_OWN, &first));
    assert_true(db_exec(f->db, "CREATE TABLE u (a)", &f->err));
    assert_int_equal(count(f), 1);
}

static void
a_draft_left_by_a_crash_is_no_hindrance(void **state)
{
    struct fixture *f = *state;

    scratch_write(&f->dir, "t.db.new", "half", 4);
    scratch_write(&f->dir, "t.db.new-wal", "half", 4);
    scratch_write(&f->dir, "t.db.new-journal", "half", 4);
    must_open(f);
    assert_int_equal(scratch_size(&f->dir, "t.db.new"), -1);
    assert_int_equal(scratch_size(&f->dir, "t.db.new-wal"), -1);
}

static void
a_file_moved_away_takes_no_more_changes(void **state)
{
    struct fixture *f = *state;
    char other[PATH_MAX];

    must_open(f);
    assert_true(commit_one(f, 1));
    (void)snprintf(other, sizeof(other), "%s", scratch_file(&f->dir, "o"));
    assert_int_equal(rename(scratch_file(&f->dir, "t.db"), other), 0);
    assert_false(db_begin(f->db, &f->err));
    assert_non_null(strstr(f->err.text, "moved"));
    scratch_write(&f->dir, "t.db", "x", 1);
    assert_false(db_begin(f->db, &f->err));
    assert_non_null(strstr(f->err.text, "replaced"));
    assert_int_equal(rename(other, scratch_file(&f->dir, "t.db")), 0);
    assert_true(commit_one(f, 2));
    (void)unlink(scratch_file(&f->dir, "t.db-wal"));
    assert_false(db_begin(f->db, &f->err));
}

static void
a_checkpoint_starts_the_wal_anew_and_keeps_its_length(void **state)
{
    struct fixture *f = *state;
    long peak;

    must_open(f);
    assert_int_equal(db_wal_octets(f->db), 0);
    for (int64_t i = 0; i < 50; i++)
        assert_true(commit_one(f, i));
    assert_true(db_wal_octets(f->db) >= 50 * 4096);
    peak = scratch_size(&f->dir, "t.db-wal");
    assert_true(db_checkpoint(f->db, &f->err));
    assert_int_equal(db_wal_octets(f->db), 0);
    assert_true(commit_one(f, 100));
    assert_true(db_wal_octets(f->db) < 5 * 4200);
    assert_int_equal(scratch_size(&f->dir, "t.db-wal"), peak);
}

static void
the_wal_grows_without_a_checkpoint(void **state)
{
    struct fixture *f = *state;

    must_open(f);
    for (int64_t i = 0; i < 1200; i++) /* SQLite's own comes at 1000 pages */
        assert_true(commit_one(f, i));
    assert_true(db_wal_octets(f->db) > 1200 * 4096);
}

static void
a_reserve_lengthens_the_file_and_the_wal_once(void **state)
{
    struct fixture *f = *state;
    const uint64_t octets = 2 * 1024 * 1024;
    long size;

    must_open(f);
    assert_true(db_reserve(f->db, octets, octets, &f->err));
    size = scratch_size(&f->dir, "t.db");
    assert_true(size > (long)octets);
    assert_true(scratch_size(&f->dir, "t.db-wal") > (long)octets);
    assert_true(db_reserve(f->db, octets, octets, &f->err));
    assert_int_equal(scratch_size(&f->dir, "t.db"), size);
    assert_true(commit_one(f, 1));
    assert_true(db_checkpoint(f->db, &f->err));
    assert_int_equal(scratch_size(&f->dir, "t.db"), size);
    db_close(&f->db);
    must_open(f);
    assert_int_equal(count(f), 1);
}

static void
a_reserve_that_the_disk_cannot_hold_is_refused(void **state)
{
    struct fixture *f = *state;

    must_open(f);
    assert_false(db_reserve(f->db, UINT64_MAX / 4, 0, &f->err));
    assert_int_equal(f->err.kind, ERR_SPACE);
    assert_false(db_reserve(f->db, 0, UINT64_MAX / 4, &f->err));
    assert_int_equal(f->err.kind, ERR_SPACE);
    assert_true(commit_one(f, 1));
}

/* A small file system of its own, filled to the last octet. */
static void
a_reserve_keeps_small_changes_going_on_a_full_disk(void **state)
{
    struct fixture *f = *state;
    struct scratch filler = f->dir;
    char page[4096] = {0};
    FILE *full;

    if (geteuid() != 0 ||
        mount("tmpfs", f->dir.path, "tmpfs", 0, "size=12m") != 0)
        skip();
    must_open(f);
    assert_true(db_begin(f->db, &f->err));
    for (int64_t i = 0; i < 2000; i++)
        assert_true(insert(f, i, "text"));
    assert_true(db_commit(f->db, &f->err));
    assert_true(db_reserve(f->db, 3 * 1024 * 1024, 2 * 1024 * 1024, &f->err));
    full = fopen(scratch_file(&filler, "full"), "w");
    while (fwrite(page, 1, sizeof(page), full) == sizeof(page))
        ;
    (void)fclose(full);
    for (int64_t i = 3000; i < 3400; i++) {
        if (!commit_one(f, i))
            fail_msg("%s", f->err.text);
        if (db_wal_octets(f->db) > 1024 * 1024)
            assert_true(db_checkpoint(f->db, &f->err));
    }
    assert_false(db_reserve(f->db, 20 * 1024 * 1024, 0, &f->err));
    assert_int_equal(f->err.kind, ERR_SPACE);
    db_close(&f->db);
    must_open(f);
    assert_int_equal(count(f), 2400);
    db_close(&f->db);
    assert_int_equal(umount2(f->dir.path, MNT_DETACH), 0);
}

static void
a_full_disk_is_told_as_such_and_loses_nothing(void **state)
{
    struct fixture *f = *state;
    int64_t n = 0;

    if (geteuid() != 0 ||
        mount("tmpfs", f->dir.path, "tmpfs", 0, "size=1m") != 0)
        skip();
    must_open(f);
    while (commit_one(f, n))
        n++;
    assert_int_equal(f->err.kind, ERR_SPACE);
    assert_true(n > 10);
    assert_int_equal(count(f), n);
    db_close(&f->db);
    must_open(f);
    assert_int_equal(count(f), n);
    db_close(&f->db);
    assert_int_equal(umount2(f->dir.path, MNT_DETACH), 0);
}

static void
damage_is_found(void **state)
{
    struct fixture *f = *state;
    FILE *file;

    must_open(f);
    for (int64_t i = 0; i < 500; i++)
        assert_true(insert(f, i, "some text to fill the pages with"));
    db_close(&f->db);
    file = fopen(scratch_file(&f->dir, "t.db"), "r+");
    (void)fseek(file, 3 * 4096 + 1, SEEK_SET);
    (void)fwrite("\xff\xff\xff\xff\xff\xff", 1, 6, file);
    (void)fclose(file);
    must_open(f);
    assert_false(db_check(f->db, &f->err));
    assert_int_equal(f->err.kind, ERR_SYSTEM);
    assert_non_null(strstr(f->err.text, "damaged"));
}

static void
closing_nothing_is_fine(void **state)
{
    struct db *db = NULL;

    (void)state;
    db_close(&db);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_new_file_is_private_and_complete),
        TEST(rows_survive_closing),
        TEST(values_come_back_as_they_went),
        TEST(an_empty_blob_is_not_null),
        TEST(a_statement_is_found_again_reset_and_unbound),
        TEST(a_statement_that_cannot_be_prepared_fails_when_run),
        TEST(what_is_too_large_fails_when_run),
        TEST(rollback_undoes_all),
        TEST(a_failed_statement_leaves_the_transaction_usable),
        TEST(a_commit_survives_a_kill_and_what_is_open_does_not),
        TEST(a_second_owner_is_refused),
        TEST(looking_changes_nothing),
        TEST(looking_reads_what_a_crash_left_in_the_wal),
        TEST(a_wal_that_a_crash_has_cut_anywhere_opens),
        TEST(there_is_nothing_to_look_at),
        TEST(what_is_not_ours_is_refused_and_left_alone),
        TEST(a_newer_version_is_refused),
        TEST(every_older_version_is_migrated_with_its_rows),
        TEST(a_migration_that_fails_leaves_the_version_before),
        TEST(a_draft_left_by_a_crash_is_no_hindrance),
        TEST(a_file_moved_away_takes_no_more_changes),
        TEST(a_checkpoint_starts_the_wal_anew_and_keeps_its_length),
        TEST(the_wal_grows_without_a_checkpoint),
        TEST(a_reserve_lengthens_the_file_and_the_wal_once),
        TEST(a_reserve_that_the_disk_cannot_hold_is_refused),
        TEST(a_reserve_keeps_small_changes_going_on_a_full_disk),
        TEST(a_full_disk_is_told_as_such_and_loses_nothing),
        TEST(damage_is_found),
        TEST(closing_nothing_is_fine),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
