/*
 * relay/cli/offline - looks into the store while no relay runs.
 *
 * Holds the lock of the state directory meanwhile: a second connection to the
 * database of a running relay is never opened.
 */
#ifndef RELAY_CLI_OFFLINE_H
#define RELAY_CLI_OFFLINE_H

#include "relay/cli/target.h"

bool cli_offline_open(const char *state_directory, int *lock_fd,
                      struct queue_store **store, struct err *err) must_use;
/* As the control API answers. */
bool cli_offline_look(struct queue_store *s, enum cli_look what,
                      const char *key, json_t **out, struct err *err) must_use;
bool cli_offline_queue(struct queue_store *s, const struct cli_filter *f,
                       const char *cursor, json_t **out,
                       struct err *err) must_use;
bool cli_offline_piece(struct queue_store *s, const char *id, unsigned sequence,
                       struct buf *out, struct err *err) must_use;

#endif
