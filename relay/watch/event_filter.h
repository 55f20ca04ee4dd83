/*
 * relay/watch/event_filter - which events of the log somebody wants.
 *
 * An event is a line of JSON, as the log writes it; the filter looks at its
 * fields as they stand there, so an address that the log hides is hidden from
 * it as well.  All that a filter names must be met.
 */
#ifndef RELAY_WATCH_EVENT_FILTER_H
#define RELAY_WATCH_EVENT_FILTER_H

#include "relay/base/err.h"
#include "relay/base/log.h"
#include "relay/base/own.h"
#include "relay/base/slice.h"

#include <jansson.h>

enum {
    EVENT_FILTER_NAMES = 6,
    EVENT_FILTER_EVENTS_MAX = 1000, /* octets of the list of events */
};

extern const char *const event_filter_names[EVENT_FILTER_NAMES];

/* Zeroed storage wants everything. */
struct event_filter {
    char *events;    /* "delivery.*,message.accepted"; NULL any */
    char *domain;    /* of the recipient, A-label form; NULL any */
    char *from, *to; /* "local@domain" or "@domain"; from "" is <> */
    char *id;
    enum log_level level; /* the least */
};

/* One of event_filter_names.  ERR_INPUT. */
bool event_filter_set(struct event_filter *f, const char *name,
                      const char *value, struct err *err) must_use;
void event_filter_done(struct event_filter *f);

/* Does it want this event? */
bool event_filter_wants(const struct event_filter *f, const json_t *event);

/* A line of the log (json_decref), or NULL where it is none. */
json_t *event_filter_read(struct slice line);
const char *event_filter_name(const json_t *event); /* "" where there is none */

#endif
