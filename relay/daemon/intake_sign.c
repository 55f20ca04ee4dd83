#include "relay/base/mem.h"
#include "relay/daemon/dkim_signer.h"
#include "relay/daemon/intake_inside.h"

static bool
begins_with_blank_line(struct slice s)
{
    return s.len >= 2 && s.p[0] == '\r' && s.p[1] == '\n';
}

/* A header section that ends without the blank line gets one: to whoever
 * verifies, the body would be a part of it. */
static void
part_body(struct intake *in)
{
    struct buf header scoped(buf_free) = {0};
    struct slice fields = intake_header(in);

    if (fields.len >= 4 &&
        slice_is(slice_from(fields, fields.len - 4), "\r\n\r\n"))
        return;
    buf_add(&header, fields);
    buf_add_text(&header, "\r\n");
    intake_set_header(in, buf_slice(&header));
}

/* The octets behind the front, of which these are the first. */
static void
begin(struct intake *in, struct slice octets)
{
    in->is_hashing = true;
    in->lacks_blank_line = !begins_with_blank_line(octets);
    if (!in->lacks_blank_line)
        octets = slice_from(octets, 2);
    dkim_signer_body(in->signer, octets);
}

void
intake_hash(struct intake *in, struct slice octets)
{
    if (!in->signer || in->front_len == 0)
        return;
    if (in->is_hashing)
        dkim_signer_body(in->signer, octets);
    else
        begin(in, intake_rest(in));
}

/* No store any more, and nobody who waits. */
static void
drop(struct intake *in)
{
    struct mail_status status = {0};

    mail_status_set(&status, 451, "4.3.2", "shutting down, try again soon");
    if (!in->abandoned)
        in->done(in->done_ctx, &status);
    in->abandoned = true;
    in->ended = false;
    intake_end_abandoned(in);
}

/* In front of all else, as RFC 6376 section 5.6 wants it. */
static void
signed_it(void *ctx, const struct slice *fields,
          const struct mail_status *refusal)
{
    struct intake *in = ctx;

    in->signed_by = mem_text(dkim_signer_domain(in->signer));
    dkim_signer_free(&in->signer);
    if (in->worker->is_cut) {
        drop(in);
        return;
    }
    if (refusal) {
        intake_refuse(in, refusal);
        return;
    }
    if (in->lacks_blank_line)
        part_body(in);
    buf_put_front(&in->message->body, *fields);
    in->trace_len += fields->len;
    in->front_len += fields->len;
    intake_seal(in);
}

bool
intake_sign(struct intake *in)
{
    struct mail_status status = {0};

    if (!in->signer)
        return false;
    if (in->scan.is_cut) {
        mail_status_set(&status, 550, "5.6.0",
                        "can't be signed by DKIM: its header section is "
                        "larger than %d octets",
                        MAIL_HEADER_BUDGET);
        intake_refuse(in, &status);
        return true;
    }
    return dkim_signer_start(in->signer, &in->worker->loop, intake_header(in),
                             in->message->envelope.from, signed_it, in);
}
