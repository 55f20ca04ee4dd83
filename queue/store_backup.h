/*
 * queue/store_backup - a copy of the whole queue while it is in use, and the
 * way back.
 */
#ifndef QUEUE_STORE_BACKUP_H
#define QUEUE_STORE_BACKUP_H

#include "queue/store.h"

enum { QUEUE_BACKUP_PAGES = 256 }; /* of a step: 1 MB */

/* A copy on its way to somewhere else, beside the queue: one that a crash has
 * left is dropped by queue_store_open. */
#define QUEUE_BACKUP_NAME "queue.backup"

/* Begins a copy in `path`, which is made anew.  One at a time: ERR_INPUT.
 * ERR_SPACE: the copy would take the room that the queue needs. */
bool queue_store_backup_start(struct queue_store *s, const char *path,
                              struct err *err) must_use;
/* The next pages, outside of a transaction; *end: it is whole, as of now, and
 * closed, but not yet synced.  After a failure there is no copy. */
bool queue_store_backup_step(struct queue_store *s, bool *end,
                             struct err *err) must_use;
/* Gives up what is under way, if anything is. */
void queue_store_backup_stop(struct queue_store *s);

/* Is the file a queue without damage?  It is brought to the version of this
 * release.  Nobody else uses it. */
bool queue_store_backup_check(const char *path, struct err *err) must_use;

#endif
