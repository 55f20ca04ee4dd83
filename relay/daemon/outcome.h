/*
 * relay/daemon/outcome - what follows from a report: finished, tried again
 * when, who is told, and all of it recorded in one change.
 */
#ifndef RELAY_DAEMON_OUTCOME_H
#define RELAY_DAEMON_OUTCOME_H

#include "relay/daemon/relay.h"
#include "relay/daemon/report.h"

struct outcome;

/* Runs on the main thread once the outcome is committed; or with `failed`,
 * when it could not be: call outcome_retry later. */
typedef void outcome_fn(void *ctx, struct outcome *o, bool failed);

/* Takes the report over; its job must live until `done` has succeeded. */
struct outcome *outcome_start(struct relay *relay, struct report *report,
                              outcome_fn *done, void *ctx);
void outcome_retry(struct outcome *o);
void outcome_free(struct outcome **o);

struct queue_job *outcome_job(const struct outcome *o);
/* Whether somebody is told of it by a new message in the queue. */
bool outcome_has_notices(const struct outcome *o);
/* The earliest next attempt among its recipients; INT64_MAX: none. */
int64_t outcome_next_ms(const struct outcome *o);
/* What would happen to an aged report: nothing. */
bool outcome_is_void(const struct relay *relay, const struct report *report);

/* For the list of those that wait for the store. */
struct outcome **outcome_link(struct outcome *o);

#endif
