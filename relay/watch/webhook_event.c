#include "relay/watch/webhook_event.h"

#include "relay/base/own.h"
#include "relay/base/text.h"
#include "relay/mail/date.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void
webhook_batch_done(struct webhook_batch *b)
{
    buf_free(&b->body);
    *b = (struct webhook_batch){0};
}

/* --- members of an object --- */

static void
add_key(struct buf *out, const char *key)
{
    buf_printf(out, "%s\"%s\":", out->p[out->len - 1] == '{' ? "" : ",", key);
}

/* NULL and "" are left out. */
static void
add_text(struct buf *out, const char *key, const char *text)
{
    if (!text || text[0] == '\0')
        return;
    add_key(out, key);
    text_json(slice_of(text), out);
}

static void
add_time(struct buf *out, const char *key, int64_t unix_ms)
{
    char date[MAIL_DATE_SIZE];

    add_text(out, key, mail_date_rfc3339(unix_ms, date));
}

/* --- an event --- */

static const char *
type_of(enum queue_outcome outcome)
{
    switch (outcome) {
    case QUEUE_DELIVERED:
        return "delivery.sent";
    case QUEUE_FAILED:
        return "delivery.bounced";
    case QUEUE_EXPIRED:
        return "delivery.expired";
    case QUEUE_DEFERRED:
        return "delivery.deferred";
    }
    return "";
}

static void
add_attempt(const struct queue_attempt *a, struct buf *out)
{
    add_text(out, "host", a->host);
    add_text(out, "address", a->address);
    add_text(out, "policy", a->policy);
    add_text(out, "tls_version", a->tls_version);
    add_text(out, "tls_cipher", a->tls_cipher);
    add_text(out, "certificate", a->verdict);
}

static void
add_data(const struct queue_feed_row *row, struct buf *out)
{
    const struct queue_history_message *m = &row->message;
    char id[ID_TEXT_SIZE];

    add_text(out, "mid", id_text(m->id, id));
    add_text(out, "message_id", m->message_id);
    add_text(out, "envid", m->envid);
    add_time(out, "accepted", m->arrived_ms);
    add_text(out, "from", m->from);
    add_text(out, "to", row->result->address);
    add_text(out, "reply", row->result->reason);
    if (row->result->outcome == QUEUE_DEFERRED)
        add_time(out, "next_attempt", row->result->next_ms);
    if (row->attempt)
        add_attempt(row->attempt, out);
}

static void
add_event(const struct queue_feed_row *row, const char *id, struct buf *out)
{
    buf_add_text(out, "{");
    add_text(out, "type", type_of(row->result->outcome));
    add_text(out, "id", id);
    add_time(out, "timestamp", row->at_ms);
    add_key(out, "data");
    buf_add_text(out, "{");
    add_data(row, out);
    buf_add_text(out, "}}");
}

void
webhook_batch_add(void *ctx, const struct queue_feed_row *row)
{
    struct webhook_batch *b = ctx;
    char id[ID_TEXT_SIZE];

    if (b->is_full)
        return;
    (void)snprintf(b->last_id, sizeof(b->last_id), "%s-%" PRIu32,
                   id_text(row->message.id, id), row->sequence);
    if (b->count == 0)
        memcpy(b->first_id, b->last_id, sizeof(b->first_id));
    buf_add_text(&b->body, b->count == 0 ? "[" : ",");
    add_event(row, b->last_id, &b->body);
    b->count++;
    b->last = row->number;
    b->is_full = b->count == WEBHOOK_EVENT_COUNT_MAX ||
                 b->body.len >= WEBHOOK_EVENT_OCTETS_MAX;
}

void
webhook_batch_end(struct webhook_batch *b)
{
    buf_add_text(&b->body, b->count == 0 ? "[]" : "]");
}

const char *
webhook_batch_id(const struct webhook_batch *b, char out[WEBHOOK_BATCH_ID_SIZE])
{
    bool is_one = b->count < 2;

    (void)snprintf(out, WEBHOOK_BATCH_ID_SIZE, "evt_%s%s%s", b->first_id,
                   is_one ? "" : "_", is_one ? "" : b->last_id);
    return out;
}
