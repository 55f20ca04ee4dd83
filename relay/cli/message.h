/* relay/cli/message - one message and its recipients, for people. */
#ifndef RELAY_CLI_MESSAGE_H
#define RELAY_CLI_MESSAGE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

void cli_message_head(const json_t *message, int64_t now_ms);
void cli_message_print(const json_t *message, int64_t now_ms);
/* Why a recipient still waits, and for what; plan NULL: not known; `is_same`:
 * it was told for the recipient before. */
void cli_message_explain(const json_t *recipient, const json_t *plan,
                         bool is_same, const char *id, int64_t now_ms);

#endif
