/*
 * relay/daemon/absence - what the clock says of the time the relay was not
 * there.
 *
 * A clock that is far ahead at a start makes all mail that waits look too old,
 * and the first failed attempt would give it up; so would a start behind weeks
 * without a relay, in which nobody has tried.  Behind such a gap the age of
 * what waits counts from the start.  The last time at which the relay was there
 * is kept in the store.
 */
#ifndef RELAY_DAEMON_ABSENCE_H
#define RELAY_DAEMON_ABSENCE_H

#include "relay/base/err.h"
#include "relay/base/own.h"

#include <stdint.h>

enum {
    ABSENCE_MAX_MS = 24 * 60 * 60 * 1000, /* shorter ones count as waiting */
    ABSENCE_NOTE_MS = 10 * 60 * 1000,     /* between two notes */
};

struct absence;
struct queue_store;
struct relay;

/* In a transaction, before anything is tried: notes that the relay is there.
 * *from_ms: no mail counts as older than it is since then; 0: as old as it
 * is.  Steady clock, as all times here. */
bool absence_end(struct queue_store *store, int64_t now_ms, int64_t *from_ms,
                 struct err *err) must_use;

/* Goes on noting, on the main loop. */
struct absence *absence_watch(struct relay *relay);
void absence_free(struct absence **a);

#endif
