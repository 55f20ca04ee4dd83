/*
 * relay/daemon/lock - one relay per state directory.
 *
 * A file beside the database, locked for as long as the process lives; it
 * holds the owner's pid for whoever is refused.  Network filesystems, whose
 * locks can't be trusted, are refused.
 */
#ifndef RELAY_DAEMON_LOCK_H
#define RELAY_DAEMON_LOCK_H

#include "relay/base/err.h"
#include "relay/base/own.h"

/* Makes the directory (mode 0700) when it is missing.  *fd holds the lock
 * until it is closed. */
bool lock_take(const char *directory, int *fd, struct err *err) must_use;

#endif
