/* relay/cli/status_webhooks - the webhooks on the screen of `status`. */
#ifndef RELAY_CLI_STATUS_WEBHOOKS_H
#define RELAY_CLI_STATUS_WEBHOOKS_H

#include <jansson.h>
#include <stdint.h>

void cli_status_webhooks(const json_t *status, int64_t now);

#endif
