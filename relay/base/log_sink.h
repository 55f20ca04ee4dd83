/*
 * relay/base/log_sink - the bounded buffer behind the log, and the thread that
 * empties it.
 */
#ifndef RELAY_BASE_LOG_SINK_H
#define RELAY_BASE_LOG_SINK_H

#include "relay/base/err.h"
#include "relay/base/own.h"
#include "relay/base/slice.h"

#include <stdint.h>

struct log_sink;

/* Writes the line that says how many were dropped; called with the buffer
 * locked, so it must not log. */
typedef size_t log_sink_said_fn(void *ctx, uint64_t dropped, char *out,
                                size_t size);

struct log_sink *log_sink_open(int fd, log_sink_said_fn *said, void *ctx,
                               struct err *err) must_use;
void log_sink_put(struct log_sink *s, struct slice line); /* any thread */
uint64_t log_sink_dropped(const struct log_sink *s);
void log_sink_close(struct log_sink **s); /* waits two seconds at most */

#endif
