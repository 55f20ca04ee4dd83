/*
 * relay/db/backup - a copy of a database that is in use, some pages at a time.
 *
 * Between the steps the owner works on as always; what it changes of the pages
 * that are copied already is changed in the copy as well, so the copy is as of
 * the last step.  Not inside a transaction.
 */
#ifndef RELAY_DB_BACKUP_H
#define RELAY_DB_BACKUP_H

#include "relay/db/db.h"

struct db_backup;

/* `path` is made anew, readable for its owner alone; what was there is
 * removed.  ERR_SPACE: the copy would not fit beside `spare` octets. */
struct db_backup *db_backup_start(struct db *db, const char *path,
                                  uint64_t spare, struct err *err) must_use;
/* Copies at most so many pages; *end: all are copied.  After a failure it can
 * only be freed. */
bool db_backup_step(struct db_backup *b, int pages, bool *end,
                    struct err *err) must_use;
/* Behind the last step: changes the copy. */
bool db_backup_exec(struct db_backup *b, const char *sql,
                    struct err *err) must_use;
/* Before the database is closed.  The file stays if `keep`; nobody has synced
 * it yet. */
void db_backup_free(struct db_backup **b, bool keep);

#endif
