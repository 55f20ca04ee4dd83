/*
 * relay/daemon/sts_shelf - MTA-STS cache entries as the store keeps them.
 *
 * Lines "key: value", then a blank line, then the policy's raw text.
 */
#ifndef RELAY_DAEMON_STS_SHELF_H
#define RELAY_DAEMON_STS_SHELF_H

#include "policy/sts.h"
#include "relay/base/buf.h"

#define STS_SHELF "sts"

void sts_shelf_format(const struct policy_sts_entry *e, struct buf *out);
/* ERR_INPUT: not such an entry; it is then as if there were none. */
bool sts_shelf_parse(const char *domain, struct slice text,
                     struct policy_sts_entry *out, struct err *err) must_use;

#endif
