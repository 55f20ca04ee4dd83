/*
 * relay/daemon/dispatch - the main thread's part of delivery: drives the
 * scheduler of queue/scheduler.h, hands orders to workers, and turns their
 * reports into changes in the store.
 */
#ifndef RELAY_DAEMON_DISPATCH_H
#define RELAY_DAEMON_DISPATCH_H

#include "queue/scheduler.h"
#include "relay/daemon/relay.h"
#include "relay/daemon/report.h"

enum {
    DISPATCH_HOUSEKEEPING_MS = 60 * 1000, /* old mail, history, policies */
    DISPATCH_SCAN_NAMES = 500,            /* due destinations asked at a time */
    DISPATCH_SETTLING_MAX = 500, /* results not yet recorded: what is done
                                    twice after a crash */
};

struct credential;
struct dispatch;

/* Main thread.  The relay's store must run. */
struct dispatch *dispatch_new(struct relay *relay);
void dispatch_free(struct dispatch **d);

/* Takes over a message that is committed and whose recipients are claimed.
 * Any thread. */
void dispatch_send(struct relay *relay, struct queue_message *m);

/* Takes over a report.  Any thread. */
void dispatch_report(struct relay *relay, struct report *r);

/* An order that was not admitted at once goes to its worker now, with what it
 * authenticates with; or comes back, as nobody can.  Main thread. */
void dispatch_go(struct relay *relay, struct queue_order *order,
                 struct credential *credential);
void dispatch_hold(struct relay *relay, struct queue_order *order,
                   const char *why);

/* Does what there is to do; called whenever something was told.  Main thread,
 * like all that follows. */
void dispatch_pump(struct dispatch *d);

/* The configuration changed: limits, schedule, routes. */
void dispatch_configure(struct dispatch *d);

/* The store works again, or not: results that could not be recorded are
 * recorded now. */
void dispatch_store_health(struct dispatch *d, bool healthy);

/* No further orders; true once nothing is under way any more. */
void dispatch_drain(struct dispatch *d);
bool dispatch_is_idle(const struct dispatch *d);

/* Tries what could not be reached at once; NULL: everything. */
void dispatch_unblock(struct dispatch *d, const char *destination);

const struct queue_scheduler *dispatch_scheduler(const struct dispatch *d);

#endif
