/* relay/cli/status_policy - the part of `status` that tells what policies do to
 * mail: the ones about to end, and what was refused by whom. */
#ifndef RELAY_CLI_STATUS_POLICY_H
#define RELAY_CLI_STATUS_POLICY_H

#include <jansson.h>
#include <stdint.h>

/* Prints nothing where there is nothing to tell. */
void cli_status_policy(const json_t *status, int64_t now);

#endif
