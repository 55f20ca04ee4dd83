#include "queue/store_backup.h"
#include "queue/store_inside.h"

#include "relay/base/mem.h"

#include <assert.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    CHECK_MAX = 256 * 1024 * 1024, /* a larger file is not checked at start:
                                      it would take too long */
};

/* meta: there while a relay has the store open, so that a start finds out
 * that the last one did not end well. */
static const char OPEN_MARK[] = "open";

bool
queue_store_meta_put(struct queue_store *s, const char *key, const char *value,
                     struct err *err)
{
    struct db_statement *st =
        queue_store_use(s, QUEUE_ST_META_PUT,
                        "INSERT INTO meta (key, value) VALUES (?, ?)"
                        " ON CONFLICT DO UPDATE SET value = excluded.value");

    db_bind_text(st, 1, key);
    db_bind_text(st, 2, value);
    return db_run(st, err);
}

bool
queue_store_meta_get(struct queue_store *s, const char *key, char **value,
                     struct err *err)
{
    struct db_statement *st = queue_store_use(
        s, QUEUE_ST_META_GET, "SELECT value FROM meta WHERE key = ?");
    bool row;

    db_bind_text(st, 1, key);
    if (!db_step(st, &row, err))
        return false;
    *value = row ? mem_text(db_text(st, 0)) : NULL;
    db_reset(st);
    return true;
}

static bool
meta_drop(struct queue_store *s, const char *key, struct err *err)
{
    struct db_statement *st = queue_store_use(s, QUEUE_ST_META_DROP,
                                              "DELETE FROM meta WHERE key = ?");

    db_bind_text(st, 1, key);
    return db_run(st, err);
}

bool
queue_store_begin(struct queue_store *s, struct err *err)
{
    assert(!s->in_transaction);
    if (s->had_trouble) {
        struct err ignored;

        /* A WAL that starts anew may be all the room that there is. */
        (void)!db_checkpoint(s->db, &ignored);
        s->had_trouble = false;
    }
    if (!db_begin(s->db, err))
        return false;
    s->in_transaction = true;
    s->tally_before = s->tally;
    s->changes_before = db_all_changes(s->db);
    queue_claims_begin(s->claims);
    return true;
}

static void
undo(struct queue_store *s)
{
    queue_claims_rollback(s->claims);
    s->tally = s->tally_before;
    s->in_transaction = false;
    s->had_trouble = true;
}

bool
queue_store_commit(struct queue_store *s, struct err *err)
{
    assert(s->in_transaction);
    if (!db_commit(s->db, err)) {
        undo(s);
        return false;
    }
    queue_claims_commit(s->claims);
    s->in_transaction = false;
    return true;
}

void
queue_store_rollback(struct queue_store *s)
{
    if (!s->in_transaction)
        return;
    db_rollback(s->db);
    undo(s);
}

bool
queue_store_has_changed(const struct queue_store *s)
{
    return db_all_changes(s->db) != s->changes_before;
}

bool
queue_store_checkpoint(struct queue_store *s, bool force, struct err *err)
{
    if (db_wal_octets(s->db) < QUEUE_WAL_MAX && !force)
        return true;
    return db_checkpoint(s->db, err) &&
           db_reserve(s->db, QUEUE_RESERVE, QUEUE_RESERVE_WAL, err);
}

bool
queue_store_has_room(const struct queue_store *s, struct err *err)
{
    return db_has_room(s->db, QUEUE_ROOM_MIN, err);
}

static bool
probe(struct queue_store *s, struct err *err)
{
    scoped(own_free) char *value = NULL;

    if (!queue_store_meta_put(s, "probe", "1", err) ||
        !queue_store_meta_get(s, "probe", &value, err))
        return false;
    if (!value || strcmp(value, "1") != 0)
        return err_set(err, ERR_SYSTEM, "what was written is not there");
    return meta_drop(s, "probe", err);
}

bool
queue_store_probe(struct queue_store *s, struct err *err)
{
    if (s->in_transaction)
        return probe(s, err);
    if (!queue_store_begin(s, err))
        return false;
    if (probe(s, err))
        return queue_store_commit(s, err);
    queue_store_rollback(s);
    return false;
}

uint64_t
queue_store_last_id(const struct queue_store *s)
{
    return s->last_id;
}

static bool
query(struct queue_store *s, const char *sql, int64_t *out, size_t columns,
      struct err *err)
{
    struct db_statement *slot = NULL;
    struct db_statement *st = db_prepare(s->db, &slot, sql);
    bool row;

    if (!db_step(st, &row, err))
        return false;
    for (size_t i = 0; i < columns; i++)
        out[i] = row ? db_int(st, (int)i) : 0;
    db_reset(st);
    return true;
}

/* Rows come in the order of their messages and numbers, so the first of each
 * message is its leader. */
static bool
count_pending(struct queue_store *s, struct queue_tally *out, struct err *err)
{
    struct db_statement *slot = NULL;
    struct db_statement *st = db_prepare(
        s->db, &slot,
        "SELECT r.message, r.attempts, r.held, m.size FROM recipient AS r"
        " LEFT JOIN message AS m ON m.id = r.message"
        " ORDER BY r.message, r.number");
    int64_t last = -1;
    bool row = true;

    while (db_step(st, &row, err)) {
        enum queue_state state;

        if (!row) {
            db_reset(st);
            return true;
        }
        state = queue_store_state(db_int(st, 1), db_int(st, 2));
        out->rows[state]++;
        if (db_int(st, 0) != last)
            queue_share_add(&out->led[state], (uint64_t)db_int(st, 3));
        last = db_int(st, 0);
    }
    return false;
}

/* One pass over what is pending; history is not looked at row by row. */
static bool
take_stock(struct queue_store *s, struct err *err)
{
    struct queue_tally tally = {0};
    int64_t attempts, fed, last[2];

    if (!count_pending(s, &tally, err) ||
        !query(s, "SELECT count(*) FROM attempt", &attempts, 1, err) ||
        !query(s, "SELECT coalesce(max(number), 0) FROM feed", &fed, 1, err) ||
        !query(s,
               "SELECT coalesce((SELECT max(id) FROM message), 0),"
               " coalesce((SELECT max(id) FROM body), 0)",
               last, 2, err))
        return false;
    tally.attempts = (uint64_t)attempts;
    tally.fed = (uint64_t)fed;
    s->tally = tally;
    s->last_id = (uint64_t)last[1] >> QUEUE_SHIFT;
    if ((uint64_t)last[0] > s->last_id)
        s->last_id = (uint64_t)last[0];
    return true;
}

/* What the last owner left: nothing to do, or a file to be suspicious of. */
static bool
check_end(struct queue_store *s, const char *path, bool *was_clean,
          struct err *err)
{
    scoped(own_free) char *mark = NULL;
    int64_t octets;

    if (!queue_store_meta_get(s, OPEN_MARK, &mark, err))
        return false;
    *was_clean = mark == NULL;
    if (*was_clean)
        return true;
    if (!db_had_wal(s->db))
        return err_set(err, ERR_SYSTEM,
                       "%s-wal is missing, and mail with it: put it back, or"
                       " accept the loss by DELETE FROM meta WHERE key ="
                       " 'open'",
                       path);
    if (!query(s,
               "SELECT page_count * page_size"
               " FROM pragma_page_count, pragma_page_size",
               &octets, 1, err))
        return false;
    return octets > CHECK_MAX || db_check(s->db, err);
}

/* The mark must be in the file itself, not in the WAL that may get lost. */
static bool
mark_open(struct queue_store *s, const struct queue_claimant *claimant,
          struct err *err)
{
    scoped(own_free) char *value =
        mem_printf("%s %lld", claimant->owner, (long long)claimant->epoch);

    if (!queue_store_begin(s, err))
        return false;
    if (!queue_store_meta_put(s, OPEN_MARK, value, err)) {
        queue_store_rollback(s);
        return false;
    }
    return queue_store_commit(s, err) && db_checkpoint(s->db, err);
}

static bool
clean_up(struct queue_store *s, struct err *err)
{
    if (!queue_store_begin(s, err))
        return false;
    if (!queue_store_drop_spilled(s, err)) {
        queue_store_rollback(s);
        return false;
    }
    return queue_store_commit(s, err);
}

/* After an unclean end the mark is there, and a full disk is no reason not to
 * start: what is queued can still be sent, or at least be looked at.  Writing
 * the WAL back comes first, since that may be all the room there is. */
static bool
take_over(struct queue_store *s, const struct queue_claimant *claimant,
          bool was_clean, struct err *err)
{
    if (was_clean && !mark_open(s, claimant, err))
        return false;
    if (!was_clean && !db_checkpoint(s->db, err) && err->kind != ERR_SPACE)
        return false;
    return (clean_up(s, err) || err->kind == ERR_SPACE) &&
           (db_reserve(s->db, QUEUE_RESERVE, QUEUE_RESERVE_WAL, err) ||
            err->kind == ERR_SPACE);
}

static struct queue_store *
open_as(const char *directory, enum db_access access, bool *was_clean,
        struct err *err)
{
    scoped(queue_store_close) struct queue_store *s =
        mem_new(struct queue_store);
    scoped(own_free) char *path = mem_printf("%s/queue.db", directory);

    s->claims = queue_claims_new();
    s->db = db_open(path, access, &queue_store_schema, err);
    if (!s->db)
        return NULL;
    if (access == DB_OWN) {
        scoped(own_free) char *copy =
            mem_printf("%s/" QUEUE_BACKUP_NAME, directory);

        (void)unlink(copy);
        db_keep_wal(s->db, true);
        if (!check_end(s, path, was_clean, err))
            return NULL;
    }
    return take(&s);
}

struct queue_store *
queue_store_open(const char *directory, const struct queue_claimant *claimant,
                 struct err *err)
{
    bool was_clean;
    scoped(queue_store_close) struct queue_store *s =
        open_as(directory, DB_OWN, &was_clean, err);

    if (!s || !take_over(s, claimant, was_clean, err) || !take_stock(s, err) ||
        !db_exec(s->db, "PRAGMA shrink_memory", err))
        return NULL;
    s->is_owner = true;
    return take(&s);
}

struct queue_store *
queue_store_open_read(const char *directory, struct err *err)
{
    scoped(queue_store_close) struct queue_store *s =
        open_as(directory, DB_READ, NULL, err);

    if (!s || !take_stock(s, err))
        return NULL;
    return take(&s);
}

/* While the mark is there the WAL has to be there too. */
static void
mark_closed(struct queue_store *s)
{
    struct err ignored;

    queue_store_rollback(s);
    if (queue_store_begin(s, &ignored) && meta_drop(s, OPEN_MARK, &ignored) &&
        queue_store_commit(s, &ignored))
        db_keep_wal(s->db, false);
}

void
queue_store_close(struct queue_store **place)
{
    struct queue_store *s = *place;

    *place = NULL;
    if (!s)
        return;
    if (s->is_owner)
        mark_closed(s);
    queue_store_backup_stop(s);
    queue_claims_free(&s->claims);
    db_close(&s->db);
    free(s);
}
