/*
 * relay/daemon/deliver - runs an order: the driver of SMTP client sessions.
 *
 * Facts -> plan -> hosts in order -> a connection that has proven what the
 * plan wants -> the order's messages, one behind the other.  Each message's
 * outcome goes to the main thread as a report; the order is over with the last
 * one.  Belongs to a worker's thread.
 */
#ifndef RELAY_DAEMON_DELIVER_H
#define RELAY_DAEMON_DELIVER_H

#include "queue/scheduler.h"
#include "relay/daemon/worker.h"

enum {
    DELIVER_CONNECT_MS = 30 * 1000,
    DELIVER_CONNECT_SOON_MS = 10 * 1000, /* with another address behind it */
    DELIVER_HANDSHAKE_MS = 60 * 1000,
    DELIVER_GOODBYE_MS = 2000,
    DELIVER_ATTEMPT_MS = 60 * 60 * 1000, /* one message, all told */
};

struct deliver;

/* Has a host a message of this order in hand, or might it? */
bool deliver_has_begun(const struct deliver *d);
struct deliver *deliver_next(const struct deliver *d);

/* The relay stops: what is under way is put off and reported, at once. */
void deliver_cut(struct deliver *d);

struct credential;

/* Runs the order; `dispatch_report` gets a report for each of its jobs.  Takes
 * the credential over; NULL: it has none. */
void deliver_start(struct worker *w, struct queue_order *order,
                   struct credential *credential);

#endif
