#include "relay/db/backup.h"

#include "relay/base/mem.h"
#include "relay/db/inside.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

struct db_backup {
    struct db *source;
    struct db copy; /* no more than its handle and its name */
    sqlite3_backup *under_way;
};

static void
drop(const char *path)
{
    static const char *const ends[] = {"", "-wal", "-journal", "-shm"};

    for (size_t i = 0; i < sizeof(ends) / sizeof(*ends); i++) {
        scoped(own_free) char *file = mem_printf("%s%s", path, ends[i]);

        (void)unlink(file);
    }
}

void
db_backup_free(struct db_backup **place, bool keep)
{
    struct db_backup *b = take(place);

    if (!b)
        return;
    (void)sqlite3_backup_finish(b->under_way);
    (void)sqlite3_close_v2(b->copy.handle);
    if (!keep)
        drop(b->copy.file.path);
    free(b->copy.file.path);
    free(b);
}

static void
give_up(struct db_backup **b)
{
    db_backup_free(b, false);
}

static bool
has_room(struct db *db, uint64_t spare, struct err *err)
{
    int64_t pages;

    return db_query_int(db, "PRAGMA page_count", &pages, err) &&
           db_has_room(db, (uint64_t)pages * db->page_size + spare, err);
}

/* Nothing is journaled: a copy that does not get whole is thrown away. */
static bool
open_copy(struct db_backup *b, struct err *err)
{
    const char *path = b->copy.file.path;
    scoped(own_close) int fd = -1;
    int rc;

    drop(path);
    fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_errno(err, "create %s", path);
    own_close(&fd); /* before SQLite locks it: a later close would unlock */
    rc = sqlite3_open_v2(path, &b->copy.handle,
                         SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX |
                             SQLITE_OPEN_EXRESCODE,
                         NULL);
    if (rc != SQLITE_OK)
        return db_fail(&b->copy, rc, err);
    return db_exec(&b->copy,
                   "PRAGMA locking_mode = EXCLUSIVE;"
                   "PRAGMA journal_mode = OFF;"
                   "PRAGMA synchronous = OFF",
                   err);
}

struct db_backup *
db_backup_start(struct db *db, const char *path, uint64_t spare,
                struct err *err)
{
    scoped(give_up) struct db_backup *b = mem_new(struct db_backup);

    b->source = db;
    b->copy.file.path = mem_text(path);
    if (!has_room(db, spare, err) || !open_copy(b, err))
        return NULL;
    b->under_way =
        sqlite3_backup_init(b->copy.handle, "main", db->handle, "main");
    if (!b->under_way) {
        (void)db_fail(&b->copy, sqlite3_errcode(b->copy.handle), err);
        return NULL;
    }
    return take(&b);
}

bool
db_backup_step(struct db_backup *b, int pages, bool *end, struct err *err)
{
    int rc = sqlite3_backup_step(b->under_way, pages);

    *end = rc == SQLITE_DONE;
    if (rc == SQLITE_OK)
        return true;
    if (!*end)
        return db_fail(&b->copy, rc, err);
    rc = sqlite3_backup_finish(take(&b->under_way));
    return rc == SQLITE_OK || db_fail(&b->copy, rc, err);
}

bool
db_backup_exec(struct db_backup *b, const char *sql, struct err *err)
{
    return db_exec(&b->copy, sql, err);
}
