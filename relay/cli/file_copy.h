/*
 * relay/cli/file_copy - files with a queue in them, brought from one place to
 * another so that they are there in whole or not at all, also after a power
 * cut.
 */
#ifndef RELAY_CLI_FILE_COPY_H
#define RELAY_CLI_FILE_COPY_H

#include "relay/base/err.h"
#include "relay/base/own.h"

#include <sys/types.h>

/* A new file, readable for its owner alone, with the octets of another; not
 * synced.  What was there by that name is removed. */
bool cli_file_copy(const char *from, const char *to, struct err *err) must_use;

/* Syncs the file, gives it its name, and syncs the directory of that.  On
 * another file system it is copied. */
bool cli_file_move(const char *from, const char *to, struct err *err) must_use;

/* Syncs the directory that a file is in: it has its name from then on. */
bool cli_file_sync_name(const char *path, struct err *err) must_use;

#endif
