/* relay/admin/accounts - who the relay is at the hosts of its routes, for
 * `status` and for monitoring. */
#ifndef RELAY_ADMIN_ACCOUNTS_H
#define RELAY_ADMIN_ACCOUNTS_H

#include "relay/base/metric.h"
#include "relay/daemon/relay.h"

#include <jansson.h>

/* A list; a new reference. */
json_t *admin_accounts(const struct relay *relay);

void admin_accounts_gauges(struct metric_page *page, const struct relay *relay);

#endif
