/*
 * relay/daemon/maildrop_scan - the directory where messages are left for a
 * relay that does not run: names in it, and whether a file may be trusted.
 *
 * A message is written under a name that starts with MAILDROP_NEW, synced, and
 * renamed to one that ends with MAILDROP_READY; what begins with a fixed-width
 * time sorts by age.  The relay takes it in and removes it, or adds
 * MAILDROP_BAD to its name, and then never looks at it again.
 *
 * The file is a dialog in SMTP as a client would speak it without waiting for
 * replies (RFC 2442): EHLO, MAIL, RCPT.., and one BDAT LAST with the rest of
 * the file.  Functions here block; they are for a thread of the pool.
 */
#ifndef RELAY_DAEMON_MAILDROP_SCAN_H
#define RELAY_DAEMON_MAILDROP_SCAN_H

#include "relay/base/buf.h"
#include "relay/base/err.h"
#include "relay/base/own.h"

#include <stdint.h>
#include <sys/types.h>

#define MAILDROP_NEW ".new-"
#define MAILDROP_READY ".mail"
#define MAILDROP_BAD ".bad"

enum {
    MAILDROP_SCAN_MAX = 200,         /* names of one scan */
    MAILDROP_NAME_MAX = 64,          /* octets of a name; others are no mail */
    MAILDROP_STALE_S = 24 * 60 * 60, /* then a half-written file goes */
};

struct maildrop_names {
    char name[MAILDROP_SCAN_MAX][MAILDROP_NAME_MAX + 1];
    size_t count;
};

/* May mail be taken from this directory, and safely?  It must be ours, and
 * where others may write it must have the sticky bit. */
bool maildrop_check(const char *directory, struct err *err) must_use;

/* The first names of messages behind `after` ("" at first), in their order;
 * fewer than MAILDROP_SCAN_MAX: there are no more.  Removes what somebody began
 * to write long ago and never ended. */
bool maildrop_scan(const char *directory, const char *after,
                   struct maildrop_names *out, struct err *err) must_use;

struct maildrop_file {
    uint64_t size;
    uid_t owner;
};

/* Opens a message: a regular file with one name.  ERR_INPUT: it is none, and
 * never will be; ERR_MISSING: it is gone; else it may be better later. */
bool maildrop_open(const char *path, int *fd, struct maildrop_file *out,
                   struct err *err) must_use;

#endif
