/*
 * relay/db - a thin wrapper over SQLite: open, migrate, statements,
 * transactions.
 *
 * One connection, one thread.  The file is opened for this process alone
 * (locking_mode EXCLUSIVE before the first access), in WAL mode with
 * synchronous FULL; checkpoints are made by the owner, because the error of an
 * automatic one would not be seen.  SQL text is always constant; values are
 * bound.
 */
#ifndef RELAY_DB_DB_H
#define RELAY_DB_DB_H

#include "relay/base/buf.h"
#include "relay/base/err.h"
#include "relay/base/own.h"

#include <stdint.h>

struct db;
struct db_statement; /* prepared once, kept by the db, reset by db_reset */

/* Migration i (from 0) takes a database of user_version i to i + 1. */
struct db_schema {
    uint32_t application_id;
    const char *const *migrations;
    size_t count;
};

enum db_access {
    DB_OWN,  /* the relay: exclusive, WAL, created when missing */
    DB_READ, /* a look from outside while no relay runs: read-only */
};

/* Errors say what to do.  ERR_INPUT: not our database, or of a newer version;
 * it is left untouched.  ERR_SYSTEM: locked, corrupt, not to be opened.
 * ERR_MISSING: DB_READ, and there is none. */
struct db *db_open(const char *path, enum db_access access,
                   const struct db_schema *schema, struct err *err) must_use;
void db_close(struct db **db);

/* Whether closing leaves the WAL as it is, as a crash would.  Otherwise it is
 * written back and removed. */
void db_keep_wal(struct db *db, bool keep);

/* Was there a WAL with anything in it when the database was opened? */
bool db_had_wal(const struct db *db);

/* Transactions.  A failed commit has rolled back.  ERR_SPACE: the disk is
 * full.  Beginning fails when the file was moved away since it was opened. */
bool db_begin(struct db *db, struct err *err) must_use;
bool db_commit(struct db *db, struct err *err) must_use;
void db_rollback(struct db *db);

/* Copies the WAL into the file so that it starts anew; ERR_* when the file
 * could not be written (the WAL then keeps everything). */
bool db_checkpoint(struct db *db, struct err *err) must_use;
uint64_t db_wal_octets(const struct db *db);

/* Makes room in advance, so that small changes still work on a full disk: free
 * pages in the file (when less than half of `file_octets` is left of them), and
 * a WAL file of `wal_octets`.  ERR_SPACE: there is no room to do so. */
bool db_reserve(struct db *db, uint64_t file_octets, uint64_t wal_octets,
                struct err *err) must_use;

/* Has the file system that many octets free?  ERR_SPACE: no. */
bool db_has_room(const struct db *db, uint64_t octets,
                 struct err *err) must_use;

/* "PRAGMA quick_check" in full or nothing: false with the first finding. */
bool db_check(struct db *db, struct err *err) must_use;

/* A statement for constant text: prepared at first use, found by the address
 * of `slot` afterwards.  Reset and unbound when given out. */
struct db_statement *db_prepare(struct db *db, struct db_statement **slot,
                                const char *sql);

void db_bind_int(struct db_statement *st, int index, int64_t value);
void db_bind_text(struct db_statement *st, int index, const char *text);
/* NULL text binds NULL.  Bound octets must live until db_reset or the end of
 * db_run. */
void db_bind_blob(struct db_statement *st, int index, struct slice octets);

/* One step: true with *row telling whether there is a row. */
bool db_step(struct db_statement *st, bool *row, struct err *err) must_use;
/* Runs a statement that gives no rows, and resets it. */
bool db_run(struct db_statement *st, struct err *err) must_use;
void db_reset(struct db_statement *st);
/* How much work its steps were since this was last asked, in operations of
 * SQLite's machine: some fifty million are a second. */
uint64_t db_cost(struct db_statement *st);

int64_t db_int(struct db_statement *st, int column);
/* Borrowed until the next step or reset; NULL for NULL. */
const char *db_text(struct db_statement *st, int column);
struct slice db_blob(struct db_statement *st, int column);
bool db_is_null(struct db_statement *st, int column);

int64_t db_changes(const struct db *db);     /* rows of the last statement */
int64_t db_all_changes(const struct db *db); /* since it was opened */
bool db_exec(struct db *db, const char *sql, struct err *err) must_use;

#endif
