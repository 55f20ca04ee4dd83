#include "relay/db/inside.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

enum { RESERVE_ROW = 1024 * 1024 };

/* A file that somebody has moved away still takes writes, and nobody would
 * ever find them. */
static bool
is_there(const struct db_place *place, struct err *err)
{
    struct stat st;

    if (stat(place->path, &st) != 0)
        return err_errno(err, "%s was moved or removed while in use",
                         place->path);
    if (st.st_dev != place->device || st.st_ino != place->inode)
        return err_set(err, ERR_SYSTEM, "%s was replaced while in use",
                       place->path);
    return true;
}

bool
db_is_in_place(const struct db *db, struct err *err)
{
    return is_there(&db->file, err) && is_there(&db->wal, err);
}

bool
db_begin(struct db *db, struct err *err)
{
    assert(sqlite3_get_autocommit(db->handle));
    return db_is_in_place(db, err) && db_exec(db, "BEGIN IMMEDIATE", err);
}

bool
db_commit(struct db *db, struct err *err)
{
    /* SQLite ends a transaction by itself after some failures: then there is
     * nothing to commit any more, and that is a failure too. */
    if (sqlite3_get_autocommit(db->handle))
        return err_set(err, ERR_SYSTEM, "%s: the transaction has failed",
                       db->file.path);
    if (db_exec(db, "COMMIT", err))
        return true;
    db_rollback(db);
    return false;
}

void
db_rollback(struct db *db)
{
    struct err ignored;

    if (!sqlite3_get_autocommit(db->handle))
        (void)!db_exec(db, "ROLLBACK", &ignored);
}

bool
db_checkpoint(struct db *db, struct err *err)
{
    int all = 0, done = 0;
    int rc = sqlite3_wal_checkpoint_v2(db->handle, NULL,
                                       SQLITE_CHECKPOINT_PASSIVE, &all, &done);

    if (rc != SQLITE_OK)
        return db_fail(db, rc, err);
    if (done < all)
        return err_set(err, ERR_SYSTEM, "%s: %d of %d frames written",
                       db->wal.path, done, all);
    db->wal_frames = 0;
    return true;
}

uint64_t
db_wal_octets(const struct db *db)
{
    enum { FRAME_HEADER = 24 };

    return db->wal_frames * (db->page_size + FRAME_HEADER);
}

bool
db_has_room(const struct db *db, uint64_t octets, struct err *err)
{
    struct statvfs fs;

    if (statvfs(db->file.path, &fs) != 0)
        return err_errno(err, "%s", db->file.path);
    if ((uint64_t)fs.f_bavail * fs.f_frsize < octets)
        return err_set(err, ERR_SPACE, "%s: the disk is nearly full",
                       db->file.path);
    return true;
}

static bool
fill(struct db *db, uint64_t octets, struct err *err)
{
    if (!db_exec(db, "CREATE TABLE db_reserve (filler BLOB)", err))
        return false;
    for (uint64_t n = 0; n < octets; n += RESERVE_ROW)
        if (!db_exec(db,
                     "INSERT INTO db_reserve (filler)"
                     " VALUES (zeroblob(1048576))",
                     err))
            return false;
    return true;
}

/* In two transactions, because pages that one transaction takes and gives
 * back need never be written. */
static bool
reserve_pages(struct db *db, uint64_t octets, struct err *err)
{
    int64_t pages;

    if (!db_query_int(db, "PRAGMA freelist_count", &pages, err))
        return false;
    /* Half is enough, so that a queue that grows does not fill its reserve
     * up again and again. */
    if ((uint64_t)pages * db->page_size >= octets / 2)
        return true;
    /* Once in the WAL, once in the file. */
    if (!db_has_room(db, 2 * octets, err) || !db_begin(db, err))
        return false;
    if (!fill(db, octets, err)) {
        db_rollback(db);
        return false;
    }
    return db_commit(db, err) && db_exec(db, "DROP TABLE db_reserve", err) &&
           db_checkpoint(db, err);
}

/* SQLite takes no lock on the WAL, so it may be opened here; it ends reading
 * where a frame's check sum is wrong, so octets behind the last do no harm. */
static bool
reserve_wal(struct db *db, uint64_t octets, struct err *err)
{
    scoped(own_close) int fd = open(db->wal.path, O_RDWR | O_CLOEXEC);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) != 0)
        return err_errno(err, "%s", db->wal.path);
    if ((uint64_t)st.st_size >= octets)
        return true;
    if (!db_has_room(db, octets, err))
        return false;
    errno = posix_fallocate(fd, 0, (off_t)octets);
    if (errno == EFBIG)
        return err_set(err, ERR_SPACE, "%s may not grow", db->wal.path);
    return errno == 0 || err_errno(err, "%s", db->wal.path);
}

bool
db_reserve(struct db *db, uint64_t file_octets, uint64_t wal_octets,
           struct err *err)
{
    return reserve_wal(db, wal_octets, err) &&
           reserve_pages(db, file_octets, err);
}
