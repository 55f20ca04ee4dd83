/* relay/cli/event_text - an event of the log as a line for people. */
#ifndef RELAY_CLI_EVENT_TEXT_H
#define RELAY_CLI_EVENT_TEXT_H

#include "relay/base/buf.h"

#include <stdint.h>

/* Appends a line with its end: time, level, event, and the fields in their
 * order.  What is no event is shown as it stands.  Whatever comes, the line is
 * printable. */
void cli_event_text(struct slice json, int64_t now_ms, struct buf *out);

#endif
