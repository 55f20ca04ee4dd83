/* relay/admin/status_parts - parts of GET /v1/status that have files of their
 * own.  Main thread. */
#ifndef RELAY_ADMIN_STATUS_PARTS_H
#define RELAY_ADMIN_STATUS_PARTS_H

#include "relay/daemon/relay.h"

#include <jansson.h>

/* What policies kept back since the start, or would have: the last first. */
json_t *admin_status_refusals(const struct relay *relay);
/* {"count": ..., "policies": [...]}: see relay/daemon/expiring.h. */
json_t *admin_status_expiring(const struct relay *relay);

#endif
