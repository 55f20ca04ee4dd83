/*
 * relay/daemon/aged - mail that waits behind a destination nobody can reach.
 *
 * Such a destination is probed by one message; the others are not tried
 * themselves.  Here they are looked at by their age, so that their senders are
 * warned and told of the end in time.  Main thread.
 */
#ifndef RELAY_DAEMON_AGED_H
#define RELAY_DAEMON_AGED_H

#include "queue/scheduler.h"
#include "relay/daemon/relay.h"

enum {
    AGED_CLAIM = 200,     /* recipients looked at at a time */
    AGED_MS = 60 * 1000,  /* how often; more often where the schedule is */
    AGED_LEAST_MS = 1000, /* shorter than ten times that */
};

struct aged;

/* The scheduler is borrowed: it knows which destinations can't be reached. */
struct aged *aged_new(struct relay *relay, struct queue_scheduler *scheduler);
void aged_free(struct aged **a); /* only when idle */

/* Nothing is under way that the store has to answer. */
bool aged_is_idle(const struct aged *a);

#endif
