/*
 * relay/cli/user_file - the users file, changed as a whole or not at all.
 *
 * Who changes it holds a lock on it; another one waits.  The new text goes to a
 * file beside it, is synced, and takes its place: a relay that reads it sees
 * the old list or the new one.  Mode and owner stay.
 */
#ifndef RELAY_CLI_USER_FILE_H
#define RELAY_CLI_USER_FILE_H

#include "relay/config/users.h"

#include <sys/types.h>

struct cli_user_file {
    const char *path; /* the caller's */
    int fd;           /* locked */
    mode_t mode;
    uid_t uid;
    gid_t gid;
    struct buf text;
    struct users *users; /* what it says */
};

/* Reads it, for a change with the lock.  A broken file is not changed: `errs`
 * has what is wrong.  `group`: of a file that is made because there is none;
 * (gid_t)-1: nothing special. */
bool cli_user_file_open(struct cli_user_file *f, const char *path,
                        bool is_for_change, gid_t group,
                        struct config_errors *errs) must_use;
void cli_user_file_close(struct cli_user_file *f);

/* Puts `line` (with its end; empty: nothing) in place of the line of this
 * name, or behind all others, and writes the file. */
bool cli_user_file_set(struct cli_user_file *f, struct slice name,
                       struct slice line, struct err *err) must_use;

/* What the file has of this user's senders, as it stands there. */
struct slice cli_user_file_senders(const struct cli_user_file *f,
                                   struct slice name);

#endif
