#include "relay/base/mem.h"
#include "relay/db/inside.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

static bool
is_space_errno(int number)
{
    return number == ENOSPC || number == EDQUOT || number == EFBIG;
}

/* SQLite does not keep the errno of a failed commit; errno still has it,
 * since it was cleared before the call. */
static bool
fail_io(const struct db *db, int rc, struct err *err)
{
    int kept = sqlite3_system_errno(db->handle);
    int number = errno ? errno : kept;

    if (is_space_errno(number))
        return err_set(err, ERR_SPACE, "%s: %s", db->file.path,
                       strerror(number));
    return err_set(err, ERR_SYSTEM, "%s: %s (%d)%s%s", db->file.path,
                   sqlite3_errstr(rc), rc, number ? ": " : "",
                   number ? strerror(number) : "");
}

bool
db_fail(const struct db *db, int rc, struct err *err)
{
    switch (rc & 0xff) {
    case SQLITE_NOMEM:
        abort();
    case SQLITE_FULL:
        return err_set(err, ERR_SPACE, "%s: the disk is full", db->file.path);
    case SQLITE_BUSY:
        return err_set(err, ERR_SYSTEM, "%s is in use by another process",
                       db->file.path);
    case SQLITE_CORRUPT:
        return err_set(err, ERR_SYSTEM, "%s is damaged (%d): %s", db->file.path,
                       rc, sqlite3_errmsg(db->handle));
    case SQLITE_NOTADB:
        return err_set(err, ERR_INPUT, "%s is not a database", db->file.path);
    case SQLITE_IOERR:
        if (rc == SQLITE_IOERR_NOMEM)
            abort();
        return fail_io(db, rc, err);
    default:
        return err_set(err, ERR_SYSTEM, "%s: %s (%d)", db->file.path,
                       sqlite3_errmsg(db->handle), rc);
    }
}

static void
prepare(struct db_statement *st, const char *sql)
{
    st->rc = sqlite3_prepare_v3(st->db->handle, sql, -1,
                                SQLITE_PREPARE_PERSISTENT, &st->st, NULL);
}

struct db_statement *
db_prepare(struct db *db, struct db_statement **slot, const char *sql)
{
    struct db_statement *st = *slot;

    if (!st) {
        st = mem_new(struct db_statement);
        st->db = db;
        st->next = db->statements;
        db->statements = st;
        *slot = st;
    }
    if (!st->st)
        prepare(st, sql);
    else
        db_reset(st);
    return st;
}

void
db_drop_statements(struct db *db)
{
    while (db->statements) {
        struct db_statement *st = db->statements;

        db->statements = st->next;
        (void)sqlite3_finalize(st->st);
        free(st);
    }
}

/* The first failure stays, until the next step tells it. */
static void
bound(struct db_statement *st, int rc)
{
    assert((rc & 0xff) != SQLITE_MISUSE && rc != SQLITE_RANGE);
    if (rc != SQLITE_OK && st->rc == SQLITE_OK)
        st->rc = rc;
}

void
db_bind_int(struct db_statement *st, int index, int64_t value)
{
    if (st->st)
        bound(st, sqlite3_bind_int64(st->st, index, value));
}

void
db_bind_text(struct db_statement *st, int index, const char *text)
{
    if (st->st)
        bound(st, sqlite3_bind_text(st->st, index, text, -1, SQLITE_STATIC));
}

void
db_bind_blob(struct db_statement *st, int index, struct slice octets)
{
    /* A NULL pointer would bind NULL instead of an empty blob. */
    if (st->st)
        bound(st, sqlite3_bind_blob64(st->st, index, octets.len ? octets.p : "",
                                      octets.len, SQLITE_STATIC));
}

bool
db_step(struct db_statement *st, bool *row, struct err *err)
{
    int rc = st->rc;

    *row = false;
    if (rc == SQLITE_OK) {
        errno = 0;
        rc = sqlite3_step(st->st);
        if (rc == SQLITE_ROW || rc == SQLITE_DONE) {
            *row = rc == SQLITE_ROW;
            return true;
        }
    }
    (void)db_fail(st->db, rc, err);
    db_reset(st);
    return false;
}

bool
db_run(struct db_statement *st, struct err *err)
{
    bool row;
    bool ok = db_step(st, &row, err);

    db_reset(st);
    return ok;
}

void
db_reset(struct db_statement *st)
{
    if (!st->st)
        return;
    (void)sqlite3_reset(st->st);
    (void)sqlite3_clear_bindings(st->st);
    st->rc = SQLITE_OK;
}

uint64_t
db_cost(struct db_statement *st)
{
    return (uint64_t)sqlite3_stmt_status(st->st, SQLITE_STMTSTATUS_VM_STEP, 1);
}

int64_t
db_int(struct db_statement *st, int column)
{
    return sqlite3_column_int64(st->st, column);
}

const char *
db_text(struct db_statement *st, int column)
{
    const void *text = sqlite3_column_text(st->st, column);

    if (!text && sqlite3_errcode(st->db->handle) == SQLITE_NOMEM)
        abort();
    return text;
}

struct slice
db_blob(struct db_statement *st, int column)
{
    const void *octets = sqlite3_column_blob(st->st, column);
    int len = sqlite3_column_bytes(st->st, column);

    if (!octets)
        return (struct slice){"", 0};
    return (struct slice){octets, (size_t)len};
}

bool
db_is_null(struct db_statement *st, int column)
{
    return sqlite3_column_type(st->st, column) == SQLITE_NULL;
}

int64_t
db_changes(const struct db *db)
{
    return sqlite3_changes64(db->handle);
}

int64_t
db_all_changes(const struct db *db)
{
    return sqlite3_total_changes64(db->handle);
}

bool
db_exec(struct db *db, const char *sql, struct err *err)
{
    int rc;

    errno = 0;
    rc = sqlite3_exec(db->handle, sql, NULL, NULL, NULL);
    return rc == SQLITE_OK || db_fail(db, rc, err);
}

bool
db_query_int(struct db *db, const char *sql, int64_t *out, struct err *err)
{
    sqlite3_stmt *st;
    int rc = sqlite3_prepare_v2(db->handle, sql, -1, &st, NULL);

    if (rc != SQLITE_OK)
        return db_fail(db, rc, err);
    rc = sqlite3_step(st);
    *out = rc == SQLITE_ROW ? sqlite3_column_int64(st, 0) : 0;
    (void)sqlite3_finalize(st);
    return rc == SQLITE_ROW || rc == SQLITE_DONE || db_fail(db, rc, err);
}
