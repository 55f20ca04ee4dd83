#include "relay/base/mem.h"
#include "relay/daemon/intake_inside.h"
#include "relay/daemon/sender_shelf.h"
#include "relay/mail/date.h"
#include "relay/mail/hygiene.h"

#include <stdio.h>
#include <stdlib.h>

struct slice
intake_header(const struct intake *in)
{
    struct slice front =
        slice_first(buf_slice(&in->message->body), in->front_len);

    return slice_from(front, in->trace_len);
}

void
intake_set_header(struct intake *in, struct slice fields)
{
    struct buf *body = &in->message->body;
    size_t behind = body->len - in->front_len;
    size_t front_len = in->trace_len + fields.len;

    if (front_len > in->front_len)
        (void)buf_room(body, front_len - in->front_len);
    memmove(body->p + front_len, body->p + in->front_len, behind);
    memcpy(body->p + in->trace_len, fields.p, fields.len);
    body->len = front_len + behind;
    in->front_len = front_len;
}

static bool
is_rewriting(const struct config *c)
{
    return c->rewrite.from_domain[0] || c->rewrite.sender_map[0];
}

/* The null reverse-path stays what it is. */
static void
rewrite_sender(const struct mail_rewrite *rules, struct mail_envelope *e)
{
    struct mail_address to;

    if (!mail_rewrite_address(rules, MAIL_REWRITE_SENDER, e->from, &to))
        return;
    free(e->from);
    e->from = mem_text(to.text);
}

/* RFC 6409 section 8 lets a submission server add what lacks. */
static void
clean(struct intake *in, const struct mail_rewrite *rewrite,
      const struct mail_envelope *e)
{
    const struct config *c = in->worker->config;
    bool adds = c->rewrite.add_missing_headers;
    char date[MAIL_DATE_SIZE], id[ID_TEXT_SIZE],
        message_id[sizeof(in->scan.message_id)];
    struct buf fields scoped(buf_free) = {0};
    struct mail_hygiene rules = {
        .date = adds ? mail_date_header(net_clock_wall(), date) : NULL,
        .message_id = adds ? message_id : NULL,
        .from = adds && e->from[0] ? e->from : NULL,
        .strip_received = c->rewrite.strip_received,
        .hostname = c->hostname,
        .rewrite = *rewrite,
    };

    (void)snprintf(message_id, sizeof(message_id), "<%s@%s>",
                   id_text(in->message->id, id), c->hostname);
    if (!mail_hygiene(intake_header(in), &rules, &fields))
        return;
    intake_set_header(in, buf_slice(&fields));
    if (adds && !in->scan.has_message_id && !in->scan.is_signed)
        memcpy(in->scan.message_id, message_id, sizeof(message_id));
}

/* Else its first line would be taken for a part of our own last field, or for
 * another one. */
static void
part_bare_body(struct intake *in)
{
    struct buf fields scoped(buf_free) = {0};

    if (!in->is_bare)
        return;
    buf_add(&fields, intake_header(in));
    buf_add_text(&fields, "\r\n");
    intake_set_header(in, buf_slice(&fields));
}

void
intake_mend(struct intake *in, struct mail_envelope *envelope)
{
    const struct config *c = in->worker->config;
    struct sender_shelf *shelf = in->worker->relay->senders;
    struct mail_rewrite rewrite = {.from_domain = c->rewrite.from_domain,
                                   .hostname = c->hostname};
    bool borrows = c->rewrite.sender_map[0];

    if (borrows)
        rewrite.map = sender_shelf_borrow(shelf);
    rewrite_sender(&rewrite, envelope);
    if (!in->scan.is_cut)
        clean(in, &rewrite, envelope);
    part_bare_body(in);
    if (borrows)
        sender_shelf_put_back(shelf);
}

bool
intake_is_mended(const struct intake *in, struct mail_status *why)
{
    const struct config *c = in->worker->config;
    bool needs_it =
        in->scan.has_bcc || is_rewriting(c) || c->rewrite.strip_received;

    if (in->front_len <= INTAKE_FRONT_MAX && (!in->scan.is_cut || !needs_it))
        return true;
    mail_status_set(why, 552, "5.3.4",
                    "the header section is larger than %d octets",
                    MAIL_HEADER_BUDGET);
    return false;
}
