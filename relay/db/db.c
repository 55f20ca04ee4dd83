#include "relay/base/mem.h"
#include "relay/db/inside.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    WAIT_OWN_MS = 5000, /* for somebody who only looks, or is just ending */
    WAIT_READ_MS = 1000,
    WAL_HEADER = 32, /* a shorter WAL holds nothing */
    LENGTH_MAX = 64 * 1024 * 1024,
    SQL_MAX = 100 * 1000,
    DEPTH_MAX = 100,
    OPCODES_MAX = 25 * 1000,
};

struct limit {
    int id, value;
};

static const struct limit limits[] = {
    {SQLITE_LIMIT_LENGTH, LENGTH_MAX},    {SQLITE_LIMIT_SQL_LENGTH, SQL_MAX},
    {SQLITE_LIMIT_EXPR_DEPTH, DEPTH_MAX}, {SQLITE_LIMIT_VDBE_OP, OPCODES_MAX},
    {SQLITE_LIMIT_ATTACHED, 0},           {SQLITE_LIMIT_TRIGGER_DEPTH, 1},
};

/* The file may have been written by somebody else: its schema is not
 * trusted to run anything.  The WAL is left alone at the end until the file
 * is known to be ours. */
static const struct limit settings[] = {
    {SQLITE_DBCONFIG_DEFENSIVE, 1},
    {SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0},
    {SQLITE_DBCONFIG_ENABLE_TRIGGER, 0},
    {SQLITE_DBCONFIG_ENABLE_VIEW, 0},
    {SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0},
    {SQLITE_DBCONFIG_DQS_DML, 0},
    {SQLITE_DBCONFIG_DQS_DDL, 0},
    {SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1},
};

void
db_close(struct db **db)
{
    struct db *d = *db;

    *db = NULL;
    if (!d)
        return;
    db_drop_statements(d);
    (void)sqlite3_close_v2(d->handle);
    free(d->file.path);
    free(d->wal.path);
    free(d);
}

void
db_keep_wal(struct db *db, bool keep)
{
    (void)sqlite3_db_config(db->handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE,
                            (int)keep, NULL);
}

static int
count_frames(void *ctx, sqlite3 *handle, const char *name, int frames)
{
    struct db *db = ctx;

    (void)handle;
    (void)name;
    db->wal_frames = (uint64_t)frames;
    return SQLITE_OK;
}

/* A connection to a file that exists; nothing has been read yet. */
static struct db *
connect_to(const char *path, int wait_ms, struct err *err)
{
    scoped(db_close) struct db *db = mem_new(struct db);
    int flags =
        SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    int rc;

    db->file.path = mem_text(path);
    db->wal.path = mem_printf("%s-wal", path);
    /* Refused when SQLite is already at work, which does no harm. */
    (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    rc = sqlite3_open_v2(path, &db->handle, flags, NULL);
    if (rc != SQLITE_OK) {
        (void)db_fail(db, rc, err);
        return NULL;
    }
    for (size_t i = 0; i < sizeof(settings) / sizeof(*settings); i++)
        (void)sqlite3_db_config(db->handle, settings[i].id, settings[i].value,
                                NULL);
    for (size_t i = 0; i < sizeof(limits) / sizeof(*limits); i++)
        (void)sqlite3_limit(db->handle, limits[i].id, limits[i].value);
    (void)sqlite3_busy_timeout(db->handle, wait_ms);
    if (!db_exec(db,
                 "PRAGMA locking_mode = EXCLUSIVE;"
                 "PRAGMA mmap_size = 0;"
                 "PRAGMA cell_size_check = ON;"
                 "PRAGMA temp_store = MEMORY;"
                 "PRAGMA cache_size = -4096",
                 err))
        return NULL;
    return take(&db);
}

static bool
check_identity(struct db *db, const struct db_schema *schema, int64_t *version,
               struct err *err)
{
    int64_t id;

    if (!db_query_int(db, "PRAGMA application_id", &id, err) ||
        !db_query_int(db, "PRAGMA user_version", version, err))
        return false;
    if (id != schema->application_id)
        return err_set(err, ERR_INPUT, "%s belongs to another application",
                       db->file.path);
    if (*version < 0 || (uint64_t)*version > schema->count)
        return err_set(err, ERR_INPUT,
                       "%s was written by a newer release (its version is"
                       " %lld, this release knows %zu)",
                       db->file.path, (long long)*version, schema->count);
    return true;
}

/* A pragma takes no bound value; `value` is a number of our own. */
static bool
set_number(struct db *db, const char *pragma, uint64_t value, struct err *err)
{
    char sql[64];

    (void)snprintf(sql, sizeof(sql), "PRAGMA %.32s = %llu", pragma,
                   (unsigned long long)value);
    return db_exec(db, sql, err);
}

static bool
migrate_one(struct db *db, const struct db_schema *schema, size_t version,
            struct err *err)
{
    if (!db_exec(db, "BEGIN IMMEDIATE", err))
        return false;
    if (!db_exec(db, schema->migrations[version], err) ||
        !set_number(db, "user_version", version + 1, err)) {
        db_rollback(db);
        return err_in(err, "migration to version %zu", version + 1);
    }
    return db_commit(db, err);
}

static bool
migrate(struct db *db, const struct db_schema *schema, int64_t version,
        struct err *err)
{
    for (size_t v = (size_t)version; v < schema->count; v++)
        if (!migrate_one(db, schema, v, err))
            return false;
    return true;
}

static bool
set_up_writing(struct db *db, struct err *err)
{
    int64_t mode;

    if (!db_exec(db,
                 "PRAGMA journal_mode = WAL;"
                 "PRAGMA synchronous = FULL;"
                 "PRAGMA wal_autocheckpoint = 0;"
                 "PRAGMA secure_delete = FAST;"
                 "PRAGMA foreign_keys = ON",
                 err) ||
        !db_query_int(db,
                      "SELECT journal_mode = 'wal'"
                      " FROM pragma_journal_mode",
                      &mode, err))
        return false;
    if (!mode)
        return err_set(err, ERR_SYSTEM, "%s: the file system refuses WAL mode",
                       db->file.path);
    db_keep_wal(db, false);
    (void)sqlite3_wal_hook(db->handle, count_frames, db);
    return true;
}

static void
drop_draft(const char *draft)
{
    static const char *const ends[] = {"", "-wal", "-journal"};

    for (size_t i = 0; i < sizeof(ends) / sizeof(*ends); i++) {
        scoped(own_free) char *path = mem_printf("%s%s", draft, ends[i]);

        (void)unlink(path);
    }
}

static bool
write_draft(const char *draft, const struct db_schema *schema, struct err *err)
{
    scoped(own_close) int fd =
        open(draft, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    scoped(db_close) struct db *db = NULL;

    if (fd < 0)
        return err_errno(err, "create %s", draft);
    own_close(&fd); /* before SQLite locks it: a later close would unlock */
    db = connect_to(draft, WAIT_OWN_MS, err);
    return db && set_up_writing(db, err) &&
           set_number(db, "application_id", schema->application_id, err) &&
           migrate(db, schema, 0, err) && db_checkpoint(db, err);
}

static bool
sync_directory(const char *path, struct err *err)
{
    scoped(own_free) char *copy = mem_text(path);
    const char *directory = dirname(copy);
    scoped(own_close) int fd =
        open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0 || fsync(fd) != 0)
        return err_errno(err, "%s", directory);
    return true;
}

/* A new database gets its name when it is complete, so that an empty file of
 * that name is never ours but a loss to tell. */
static bool
create(const char *path, const struct db_schema *schema, struct err *err)
{
    scoped(own_free) char *draft = mem_printf("%s.new", path);

    drop_draft(draft);
    if (!write_draft(draft, schema, err)) {
        drop_draft(draft);
        return false;
    }
    if (rename(draft, path) != 0)
        return err_errno(err, "rename %s", draft);
    return sync_directory(path, err);
}

struct found {
    bool is_there;
    off_t size;
};

static bool
look(const char *path, struct found *out, struct err *err)
{
    struct stat st;

    *out = (struct found){0};
    if (stat(path, &st) != 0)
        return errno == ENOENT || err_errno(err, "%s", path);
    if (!S_ISREG(st.st_mode))
        return err_set(err, ERR_INPUT, "%s is no regular file", path);
    *out = (struct found){true, st.st_size};
    return true;
}

/* Makes sure that there is a file worth opening. */
static bool
settle_file(const char *path, enum db_access access,
            const struct db_schema *schema, bool *had_wal, struct err *err)
{
    scoped(own_free) char *wal_path = mem_printf("%s-wal", path);
    struct found file, wal;

    if (!look(path, &file, err) || !look(wal_path, &wal, err))
        return false;
    *had_wal = wal.size >= WAL_HEADER;
    if (!file.is_there && *had_wal)
        return err_set(err, ERR_SYSTEM, "%s is missing, but %s-wal is there",
                       path, path);
    if (!file.is_there && access == DB_READ)
        return err_set(err, ERR_MISSING, "%s does not exist", path);
    if (!file.is_there)
        return create(path, schema, err);
    if (file.size == 0)
        return err_set(err, ERR_INPUT, "%s is empty: its content was lost",
                       path);
    return true;
}

static bool
note_place(struct db_place *place, struct err *err)
{
    struct stat st;

    if (stat(place->path, &st) != 0)
        return err_errno(err, "%s", place->path);
    place->device = st.st_dev;
    place->inode = st.st_ino;
    return true;
}

/* A full disk is no reason not to open: writing the WAL back may be all that
 * there is room for. */
static bool
secure_wal(const struct db *db, struct err *err)
{
    return !db->had_wal || db_write_wal_again(db, err) ||
           err->kind == ERR_SPACE;
}

static bool
set_up(struct db *db, enum db_access access, const struct db_schema *schema,
       struct err *err)
{
    int64_t version, page_size;

    if (!check_identity(db, schema, &version, err) ||
        !db_query_int(db, "PRAGMA page_size", &page_size, err))
        return false;
    db->page_size = (uint64_t)page_size;
    if (access == DB_READ) {
        if ((size_t)version < schema->count)
            return err_set(err, ERR_INPUT,
                           "%s is of an older release: start the relay once",
                           db->file.path);
        return db_exec(db, "PRAGMA query_only = ON", err);
    }
    return secure_wal(db, err) && set_up_writing(db, err) &&
           db_exec(db, "DROP TABLE IF EXISTS db_reserve", err) &&
           migrate(db, schema, version, err) && note_place(&db->file, err) &&
           note_place(&db->wal, err);
}

struct db *
db_open(const char *path, enum db_access access, const struct db_schema *schema,
        struct err *err)
{
    scoped(db_close) struct db *db = NULL;
    bool had_wal;

    if (!settle_file(path, access, schema, &had_wal, err))
        return NULL;
    db = connect_to(path, access == DB_OWN ? WAIT_OWN_MS : WAIT_READ_MS, err);
    if (!db)
        return NULL;
    db->had_wal = had_wal;
    if (!set_up(db, access, schema, err))
        return NULL;
    return take(&db);
}

bool
db_had_wal(const struct db *db)
{
    return db->had_wal;
}

bool
db_check(struct db *db, struct err *err)
{
    sqlite3_stmt *st;
    int rc =
        sqlite3_prepare_v2(db->handle, "PRAGMA quick_check(1)", -1, &st, NULL);
    bool ok = false;

    if (rc != SQLITE_OK)
        return db_fail(db, rc, err);
    rc = sqlite3_step(st);
    if (rc == SQLITE_ROW) {
        const void *text = sqlite3_column_text(st, 0);
        const char *finding = text ? text : "";

        ok = strcmp(finding, "ok") == 0 ||
             err_set(err, ERR_SYSTEM, "%s is damaged: %s", db->file.path,
                     finding);
    } else {
        (void)db_fail(db, rc, err);
    }
    (void)sqlite3_finalize(st);
    return ok;
}
