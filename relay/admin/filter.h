/*
 * relay/admin/filter - which part of the queue is meant, from named texts.
 *
 * The same names everywhere: query parameters, keys of a JSON body, options of
 * the command line: id, domain, from, to, state, older_than.
 */
#ifndef RELAY_ADMIN_FILTER_H
#define RELAY_ADMIN_FILTER_H

#include "queue/store.h"

struct admin_filter {
    struct queue_filter queue; /* points into the strings below */
    char *domain, *from, *to;
};

enum { ADMIN_FILTER_COUNT = 6 };
extern const char *const admin_filter_names[ADMIN_FILTER_COUNT];

/* ERR_INPUT: no such name, or not such a value.  `now_ms` is the time that
 * older_than counts back from. */
bool admin_filter_set(struct admin_filter *f, const char *name,
                      const char *value, int64_t now_ms,
                      struct err *err) must_use;
bool admin_filter_is_empty(const struct admin_filter *f);
void admin_filter_done(struct admin_filter *f);

const char *admin_state_name(enum queue_state state); /* "deferred" */

#endif
