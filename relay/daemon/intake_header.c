#include "relay/base/mem.h"
#include "relay/daemon/intake_inside.h"
#include "relay/mail/date.h"

#include <stdio.h>

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

/* A message must have a Date, and should have a Message-ID (RFC 5322 section
 * 3.6; RFC 6409 section 8 lets a submission server add them). */
void
intake_mend_header(struct intake *in)
{
    const struct config *c = in->worker->config;
    struct buf fields scoped(buf_free) = {0};
    char date[MAIL_DATE_SIZE], id[ID_TEXT_SIZE];

    if (!c->add_missing_headers || in->scan.is_cut)
        return;
    if (!in->scan.has_date)
        buf_printf(&fields, "Date: %s\r\n",
                   mail_date_header(net_clock_wall(), date));
    if (!in->scan.has_message_id) {
        (void)snprintf(in->scan.message_id, sizeof(in->scan.message_id),
                       "<%s@%s>", id_text(in->message->id, id), c->hostname);
        buf_printf(&fields, "Message-ID: %s\r\n", in->scan.message_id);
    }
    if (fields.len == 0)
        return;
    buf_add(&fields, intake_header(in));
    intake_set_header(in, buf_slice(&fields));
}
