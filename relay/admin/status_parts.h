/* relay/admin/status_parts - parts of GET /v1/status that have files of their
 * own.  Main thread, but for what says otherwise. */
#ifndef RELAY_ADMIN_STATUS_PARTS_H
#define RELAY_ADMIN_STATUS_PARTS_H

#include "queue/store.h"
#include "relay/daemon/relay.h"

#include <jansson.h>

enum { ADMIN_STATUS_AGES = 6 };

/* Recipients by age, the oldest first; on the store thread. */
bool admin_status_count_ages(struct queue_store *store, int64_t now_ms,
                             uint64_t out[ADMIN_STATUS_AGES],
                             struct err *err) must_use;
/* {"under_1m": ..., ..., "older": ...}: none is more than QUEUE_COUNTED_MAX. */
json_t *admin_status_ages(const uint64_t count[ADMIN_STATUS_AGES]);
/* {"count": ..., "top": [...]}: those with work, blocked ones and the busiest
 * first. */
json_t *admin_status_destinations(const struct relay *relay);
/* Adds "queued" to each of a list of destinations, as far as it is counted; on
 * the store thread, which has the value for itself meanwhile. */
bool admin_status_count_backlogs(json_t *list, struct queue_store *store,
                                 struct err *err) must_use;
/* What last happened at each destination, the last first. */
json_t *admin_status_recent(const struct relay *relay);

/* Rules that are weaker than the policy block, and have not ended. */
json_t *admin_status_exemptions(const struct relay *relay);
/* When each certificate that clients are shown ends. */
json_t *admin_status_certificates(const struct relay *relay);

/* What policies kept back since the start, or would have: the last first. */
json_t *admin_status_refusals(const struct relay *relay);
/* {"count": ..., "policies": [...]}: see relay/daemon/expiring.h. */
json_t *admin_status_expiring(const struct relay *relay);
/* How each webhook does. */
json_t *admin_status_webhooks(const struct relay *relay);

#endif
