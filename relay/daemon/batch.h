/*
 * relay/daemon/batch - takes one message in out of a file of the maildrop.
 *
 * The file is a client that waits for no reply: its commands go through a
 * server session like any other's, and what they ask through the same rules.
 * All recipients get the message, or none.  Runs on a worker; removes nothing.
 */
#ifndef RELAY_DAEMON_BATCH_H
#define RELAY_DAEMON_BATCH_H

#include "relay/daemon/worker.h"
#include "relay/mail/status.h"

enum { BATCH_PIECE = 64 * 1024 }; /* octets read at a time */

struct batch;

struct batch_result {
    bool is_gone;              /* the file was not there any more */
    struct mail_status status; /* 2yz: in the queue, committed and synced */
    uid_t owner;               /* of the file */
};

/* Runs on the main thread. */
typedef void batch_fn(void *ctx, const struct batch_result *result);

/* Any thread. */
void batch_start(struct worker *w, const char *path, batch_fn *done, void *ctx);

/* Ends it now, with a 4yz; the message may be accepted all the same.  The
 * worker's thread. */
void batch_cut(struct batch *b);

#endif
