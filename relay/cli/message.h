/* relay/cli/message - one message and its recipients, for people. */
#ifndef RELAY_CLI_MESSAGE_H
#define RELAY_CLI_MESSAGE_H

#include <jansson.h>
#include <stdint.h>

void cli_message_head(const json_t *message, int64_t now_ms);
void cli_message_print(const json_t *message, int64_t now_ms);
/* The first lines about one of its recipients. */
void cli_message_recipient(const json_t *r, int64_t now_ms);

#endif
