/*
 * relay/config/dkim_file - a key for DKIM in a file, and whether the file is
 * still the one that was read.
 *
 * Reads files: not for a loop's thread.
 */
#ifndef RELAY_CONFIG_DKIM_FILE_H
#define RELAY_CONFIG_DKIM_FILE_H

#include "relay/mail/dkim.h"

#include <sys/types.h>
#include <time.h>

enum {
    DKIM_FILE_MAX = 16 * 1024, /* octets; an RSA key of 4096 bits has 3300 */
};

/* Which file it was, and in which state. */
struct dkim_stamp {
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec changed, modified;
};

struct dkim_file {
    struct mail_dkim_key *key; /* owned */
    struct dkim_stamp stamp;
    bool is_open; /* its mode is wider than 0640 */
};

/* On failure out->stamp says all the same what was looked at, as far as it got
 * (a file that is not there leaves it zeroed).  The error tells nothing of the
 * file's content. */
bool dkim_file_read(const char *path, struct dkim_file *out,
                    struct err *err) must_use;
void dkim_file_done(struct dkim_file *f);

/* The stamp of what is there now; zeroed when nothing is. */
struct dkim_stamp dkim_stamp_of(const char *path);
bool dkim_stamp_is_same(const struct dkim_stamp *a, const struct dkim_stamp *b);

#endif
