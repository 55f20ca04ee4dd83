#include "queue/store_backup.h"

#include "queue/store_inside.h"

bool
queue_store_backup_start(struct queue_store *s, const char *path,
                         struct err *err)
{
    if (s->backup)
        return err_set(err, ERR_INPUT, "a backup is under way already");
    s->backup = db_backup_start(s->db, path, QUEUE_ROOM_MIN, err);
    return s->backup != NULL;
}

/* The mark says that the WAL belongs to the file; the copy has none. */
static bool
finish(struct queue_store *s, struct err *err)
{
    if (!db_backup_exec(s->backup, "DELETE FROM meta WHERE key = 'open'", err))
        return false;
    db_backup_free(&s->backup, true);
    return true;
}

bool
queue_store_backup_step(struct queue_store *s, bool *end, struct err *err)
{
    *end = false;
    if (!s->backup)
        return err_set(err, ERR_SYSTEM, "no backup is under way");
    if (db_backup_step(s->backup, QUEUE_BACKUP_PAGES, end, err) &&
        (!*end || finish(s, err)))
        return true;
    queue_store_backup_stop(s);
    return false;
}

void
queue_store_backup_stop(struct queue_store *s)
{
    db_backup_free(&s->backup, false);
}

bool
queue_store_backup_check(const char *path, struct err *err)
{
    scoped(db_close) struct db *db =
        db_open(path, DB_OWN, &queue_store_schema, err);

    return db && db_check(db, err) && db_checkpoint(db, err);
}
