/*
 * relay/daemon/directory - directories of the relay's own, made where they
 * lack.
 */
#ifndef RELAY_DAEMON_DIRECTORY_H
#define RELAY_DAEMON_DIRECTORY_H

#include "relay/base/err.h"
#include "relay/base/own.h"

#include <sys/types.h>

struct directory_owner {
    uid_t uid;
    gid_t gid;
};

/* Makes the directory with `mode`, and those above it as the umask allows.
 * What is made anew is given to `owner`, unless that is NULL; what is there
 * already stays as it is. */
bool directory_make(const char *path, mode_t mode,
                    const struct directory_owner *owner,
                    struct err *err) must_use;

/* The same for the directory that a file is to be in. */
bool directory_make_for(const char *file, mode_t mode,
                        const struct directory_owner *owner,
                        struct err *err) must_use;

#endif
