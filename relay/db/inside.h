/*
 * relay/db/inside - what the files of this folder share; nobody else's.
 */
#ifndef RELAY_DB_INSIDE_H
#define RELAY_DB_INSIDE_H

#include "relay/db/db.h"

#include <sqlite3.h>
#include <sys/types.h>

/* Which file a name stood for, to notice that it was moved away. */
struct db_place {
    char *path;
    dev_t device;
    ino_t inode;
};

struct db {
    sqlite3 *handle;
    struct db_place file, wal;
    bool had_wal;
    uint64_t page_size;
    uint64_t wal_frames; /* after the last commit or checkpoint */
    struct db_statement *statements;
};

struct db_statement {
    struct db *db;
    sqlite3_stmt *st; /* NULL: could not be prepared, see `rc` */
    int rc;           /* of preparing and binding; told by the next step */
    struct db_statement *next;
};

/* Why SQLite refused, as an err; returns false.  Aborts for want of memory.
 * errno was cleared before SQLite was called. */
bool db_fail(const struct db *db, int rc, struct err *err);

/* The number that a constant query gives in its first row. */
bool db_query_int(struct db *db, const char *sql, int64_t *out,
                  struct err *err) must_use;

/* Ends all statements kept by the db. */
void db_drop_statements(struct db *db);

/* Writes the WAL once more, as it is, and syncs it.  What a failed sync was for
 * is left in the system's memory as if it had been written: a WAL that is read
 * from there may be longer than the one on the disk, and a power cut while its
 * pages go into the file would leave these half changed, with nothing to mend
 * them.  The lock is held, and nothing has been written yet. */
bool db_write_wal_again(const struct db *db, struct err *err) must_use;

/* Are the files still where they were opened? */
bool db_is_in_place(const struct db *db, struct err *err) must_use;

#endif
