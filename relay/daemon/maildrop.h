/*
 * relay/daemon/maildrop - takes in what `sealpost send` left in a directory
 * while no relay ran, or where it could not hand it in otherwise.
 *
 * Looks at the start, when the directory changes, and every few seconds.  A
 * file is removed once its message is committed and synced: a crash in between
 * means that it comes twice, never that it is lost.  What is no message, or may
 * not be sent, is set aside under another name and logged.  Main thread.
 */
#ifndef RELAY_DAEMON_MAILDROP_H
#define RELAY_DAEMON_MAILDROP_H

#include "relay/daemon/relay.h"

enum {
    MAILDROP_POLL_MS = 5000,  /* between looks, when nothing is told */
    MAILDROP_AT_ONCE_MAX = 8, /* files that are being taken in */
};

struct maildrop;

/* Makes the directory where it is missing; NULL with `err` NONE: there is none
 * to be watched. */
struct maildrop *maildrop_start(struct relay *relay, struct err *err) must_use;
/* Begins nothing more; what is under way goes on.  Also of NULL. */
void maildrop_stop(struct maildrop *m);
/* Nothing is under way; also of NULL. */
bool maildrop_is_quiet(const struct maildrop *m);
/* Behind the last run of the main loop. */
void maildrop_free(struct maildrop **m);

#endif
