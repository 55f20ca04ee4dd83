/*
 * relay/cli/event_stream - server-sent events out of an HTTP response, as its
 * octets come.
 *
 * Understands of the format (HTML Living Standard, section 9.2) what the relay
 * sends: events with a name and one line of data, and comments.
 */
#ifndef RELAY_CLI_EVENT_STREAM_H
#define RELAY_CLI_EVENT_STREAM_H

#include "relay/base/buf.h"
#include "relay/base/err.h"
#include "relay/base/own.h"

enum { CLI_EVENT_LINE_MAX = 64 * 1024 }; /* octets of a line */

struct cli_event_stream;

/* The data of one event. */
typedef void cli_event_fn(void *ctx, struct slice data);

struct cli_event_stream *cli_event_stream_new(cli_event_fn *event, void *ctx);
void cli_event_stream_free(struct cli_event_stream **s);

/* False: this is no such stream, or there is something wrong with it. */
bool cli_event_stream_feed(struct cli_event_stream *s, struct slice in,
                           struct err *err) must_use;
/* Has it ended in order? */
bool cli_event_stream_is_over(const struct cli_event_stream *s);
/* 0 while it is not known. */
int cli_event_stream_status(const struct cli_event_stream *s);
/* What a response other than 200 says. */
struct slice cli_event_stream_refusal(const struct cli_event_stream *s);

#endif
