/*
 * relay/admin/draft - a message that a client describes in JSON.
 *
 *     {"from": "Shop <shop@example.com>", "to": ["ann@example.org"],
 *      "subject": "...", "text": "...", "html": "...",
 *      "attachments": [{"filename": "...", "type": "...", "content": "..."}]}
 *
 * Becomes an envelope and a message as MIME.  What is wrong is told by the name
 * of its field.  Any thread: it may take a while.
 */
#ifndef RELAY_ADMIN_DRAFT_H
#define RELAY_ADMIN_DRAFT_H

#include "relay/base/buf.h"
#include "relay/base/err.h"
#include "relay/base/own.h"
#include "relay/mail/envelope.h"

#include <stdint.h>

enum {
    ADMIN_DRAFT_LIST_MAX = 10000, /* addresses of one field */
    ADMIN_DRAFT_FILES_MAX = 1000,
    ADMIN_DRAFT_FIELDS_MAX = 100,
};

struct admin_draft_facts {
    const char *hostname; /* for Message-ID */
    int64_t unix_ms;      /* for Date */
    const char *unique;   /* that nobody can know; letters and digits */
};

/* Empties `json`.  ERR_INPUT with *is_json false: it is no JSON; true: it
 * describes no message. */
bool admin_draft(struct buf *json, const struct admin_draft_facts *facts,
                 struct mail_envelope *envelope, struct buf *message,
                 bool *is_json, struct err *err) must_use;

/* A recipient more. */
struct mail_address;
void admin_draft_add_rcpt(struct mail_envelope *e,
                          const struct mail_address *to);

#endif
