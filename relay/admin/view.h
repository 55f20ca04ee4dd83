/*
 * relay/admin/view - what is in the store, as JSON documents.
 *
 * Synchronous: on the store thread, or in a command that reads the store of a
 * relay that does not run.  Both show the same documents.
 */
#ifndef RELAY_ADMIN_VIEW_H
#define RELAY_ADMIN_VIEW_H

#include "policy/sts.h"
#include "queue/store.h"

#include <jansson.h>

enum {
    ADMIN_PAGE_MAX = 200, /* rows of a listing at a time */
    ADMIN_FOUND_MAX = 50, /* messages of a search */
};

/* Behind what a page of the queue begins; as text "0g3k1x9d2a.3", "" at
 * first. */
bool admin_cursor_parse(const char *text, struct queue_cursor *out,
                        struct err *err) must_use;

/* Each sets *out, to be released by json_decref, when it returns true. */

/* {"rows": [...], "next": where the next page begins, or null} */
bool admin_view_queue(struct queue_store *s, const struct queue_filter *f,
                      const struct queue_cursor *from, json_t **out,
                      struct err *err) must_use;

/* The same turn by turn (queue_store_list), until the page is whole. */
struct admin_page {
    json_t *rows; /* so far */
    struct queue_cursor cursor;
    bool end;
};
bool admin_view_queue_turn(struct queue_store *s, const struct queue_filter *f,
                           struct admin_page *page, struct err *err) must_use;
bool admin_page_is_whole(const struct admin_page *page);
json_t *admin_page_json(const struct admin_page *page);

/* One message, and in "recipients" those it still has.  ERR_MISSING. */
bool admin_view_message(struct queue_store *s, uint64_t id, json_t **out,
                        struct err *err) must_use;
/* The same with "events": what happened, oldest first, "left_off" older ones
 * not told (QUEUE_HISTORY_MAX). */
bool admin_view_trace(struct queue_store *s, uint64_t id, json_t **out,
                      struct err *err) must_use;
/* {"messages": [...], "next": an id, before which to search on, or null};
 * `address`: see queue_store_search. */
bool admin_view_search(struct queue_store *s, const char *address,
                       uint64_t before, json_t **out, struct err *err) must_use;
/* {"policies": [...], "next": a domain or null} */
bool admin_view_policies(struct queue_store *s, const char *after, json_t **out,
                         struct err *err) must_use;
/* One of them, with "text" as it was published.  ERR_MISSING. */
bool admin_view_policy(struct queue_store *s, const char *domain, json_t **out,
                       struct err *err) must_use;

/* An entry of the policy cache, without its text. */
json_t *admin_view_entry(const struct policy_sts_entry *e);

/* {"reports": [...], "next": a key or null}; a key is "DAY DOMAIN". */
bool admin_view_reports(struct queue_store *s, const char *after, json_t **out,
                        struct err *err) must_use;
/* One of them, with "policies" as the report will have them.  ERR_MISSING. */
bool admin_view_report(struct queue_store *s, const char *key, json_t **out,
                       struct err *err) must_use;

#endif
