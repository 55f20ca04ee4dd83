/*
 * tests/fault/store_read - what the store finds in a directory.
 *
 * For each line of standard input, which names a directory with a queue.db, it
 * opens the store there as a relay would, tells what is in the queue, closes it
 * and has the whole file checked:
 *
 *     rcpt ID TO FROM       each recipient that waits
 *     body ID LENGTH        each message, and its octets behind the line
 *     end ok | end WHY      all is well, or what is not
 */
#include "queue/store.h"
#include "relay/base/mem.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

enum { PATH_ROOM = 4096, ROWS = 1000 };

static void
tell_row(void *ctx, const struct queue_row *row)
{
    struct buf *ids = ctx;

    printf("rcpt %llu %s %s\n", (unsigned long long)row->id, row->to,
           row->from);
    if (ids->len == 0 || memcmp(ids->p + ids->len - sizeof(row->id), &row->id,
                                sizeof(row->id)) != 0)
        buf_add(ids, (struct slice){(const char *)&row->id, sizeof(row->id)});
}

static bool
list(struct queue_store *s, struct buf *ids, struct err *err)
{
    const struct queue_filter all = {0};
    struct queue_cursor cursor = {0};
    bool end = false;

    while (!end)
        if (!queue_store_list(s, &all, &cursor, ROWS, tell_row, ids, &end, err))
            return false;
    return true;
}

static bool
tell_body(struct queue_store *s, uint64_t id, struct err *err)
{
    scoped(buf_free) struct buf body = {0};
    unsigned piece = 0;

    while (queue_store_read(s, id, piece, &body, err))
        piece++;
    if (err->kind != ERR_MISSING)
        return false;
    printf("body %llu %zu\n", (unsigned long long)id, body.len);
    (void)fwrite(body.p, 1, body.len, stdout);
    return true;
}

static bool
tell_all(struct queue_store *s, struct err *err)
{
    scoped(buf_free) struct buf ids = {0};
    uint64_t id;

    if (!list(s, &ids, err))
        return false;
    for (size_t at = 0; at < ids.len; at += sizeof(id)) {
        memcpy(&id, ids.p + at, sizeof(id));
        if (!tell_body(s, id, err))
            return false;
    }
    return true;
}

/* The whole check, which the store itself finds too slow for a start. */
static bool
check_file(const char *directory, struct err *err)
{
    scoped(own_free) char *path = mem_printf("%s/queue.db", directory);
    sqlite3_stmt *st = NULL;
    sqlite3 *db = NULL;
    const char *finding = "no answer";
    bool ok;

    if (sqlite3_open(path, &db) == SQLITE_OK &&
        sqlite3_prepare_v2(db, "PRAGMA integrity_check(1)", -1, &st, NULL) ==
            SQLITE_OK &&
        sqlite3_step(st) == SQLITE_ROW)
        finding = (const char *)sqlite3_column_text(st, 0);
    ok = strcmp(finding, "ok") == 0 ||
         err_set(err, ERR_SYSTEM, "%s: %s", path, finding);
    (void)sqlite3_finalize(st);
    (void)sqlite3_close(db);
    return ok;
}

static bool
look(const char *directory, struct err *err)
{
    struct queue_claimant claimant = {"test", 1};
    struct queue_store *s = queue_store_open(directory, &claimant, err);
    bool ok;

    if (!s)
        return false;
    ok = tell_all(s, err);
    queue_store_close(&s);
    return ok && check_file(directory, err);
}

/* What SQLite finds may have several lines. */
static const char *
in_one_line(char *text)
{
    for (char *end; (end = strchr(text, '\n')) != NULL;)
        *end = ' ';
    return text;
}

int
main(void)
{
    char line[PATH_ROOM];

    while (fgets(line, sizeof(line), stdin)) {
        struct err err = {0};

        line[strcspn(line, "\n")] = '\0';
        printf("end %s\n", look(line, &err) ? "ok" : in_one_line(err.text));
        (void)fflush(stdout);
    }
    return 0;
}
