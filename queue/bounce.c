#include "queue/bounce.h"

#include "queue/bounce_text.h"
#include "relay/base/id.h"
#include "relay/base/mem.h"
#include "relay/base/own.h"
#include "relay/base/text.h"
#include "relay/mail/address.h"
#include "relay/mail/date.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { BOUNDARY_SIZE = 48 };

/* A notice being written. */
struct notice {
    const struct queue_bounce *b;
    struct buf *out;
    bool utf8; /* in fields; what has it takes a form of RFC 6533 */
    char boundary[BOUNDARY_SIZE];
};

bool
queue_bounce_is_wanted(enum queue_action action, const struct queue_message *m,
                       const struct mail_rcpt *rcpt)
{
    if (m->envelope.from[0] == '\0') /* RFC 5321 section 4.5.5 */
        return false;
    switch (action) {
    case QUEUE_ACTION_FAILED:
        return rcpt->notify == 0 || (rcpt->notify & MAIL_NOTIFY_FAILURE);
    case QUEUE_ACTION_DELAYED: /* left to us when the client did not say: RFC
                                  3461 section 4.1 */
        return rcpt->notify == 0 || (rcpt->notify & MAIL_NOTIFY_DELAY);
    case QUEUE_ACTION_RELAYED:
        return (rcpt->notify & MAIL_NOTIFY_SUCCESS) != 0;
    }
    return false;
}

static bool
is_ascii(struct slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.p[i] > 127)
            return false;
    return true;
}

/* Whoever sends with SMTPUTF8 reads UTF-8. */
static bool
may_use_utf8(const struct queue_bounce *b)
{
    bool ascii = is_ascii(slice_of(b->message->envelope.from));

    for (size_t i = 0; i < b->rcpt_count; i++) {
        const struct mail_rcpt *r = b->rcpt[i].rcpt;

        ascii = ascii && is_ascii(slice_of(r->address)) &&
                (!r->orcpt || is_ascii(slice_of(r->orcpt)));
    }
    return b->message->envelope.smtputf8 || !ascii;
}

static bool
has(struct slice s, const char *part)
{
    return s.len > 0 && memmem(s.p, s.len, part, strlen(part));
}

/* A boundary that no part holds, whoever wrote it. */
static void
choose_boundary(struct notice *n, struct slice text, struct slice status)
{
    uint64_t random = n->b->boundary;

    do {
        (void)snprintf(n->boundary, sizeof(n->boundary),
                       "sealpost-%016" PRIx64 "-report", random++);
    } while (has(n->b->original, n->boundary) || has(text, n->boundary) ||
             has(status, n->boundary));
}

/* --- header ------------------------------------------------------------ */

static const char *
subject(enum queue_action action)
{
    switch (action) {
    case QUEUE_ACTION_FAILED:
        return "Your message could not be delivered";
    case QUEUE_ACTION_DELAYED:
        return "Your message is delayed";
    case QUEUE_ACTION_RELAYED:
        return "Your message was passed on";
    }
    return "";
}

/* Of the notice, without angle brackets. */
static char *
own_id(const struct queue_bounce *b)
{
    char id[ID_TEXT_SIZE];

    return mem_printf("%s.%016" PRIx64 "@%s", id_text(b->id, id), b->boundary,
                      b->hostname);
}

/* Something that may stand in References as it is. */
static bool
is_message_id(const char *text)
{
    size_t len = text ? strlen(text) : 0;

    if (len < 3 || text[0] != '<' || text[len - 1] != '>')
        return false;
    for (size_t i = 0; i < len; i++)
        if (text[i] <= ' ' || text[i] > '~')
            return false;
    return true;
}

static void
add_header(struct notice *n, const char *message_id)
{
    const struct queue_bounce *b = n->b;
    char date[MAIL_DATE_SIZE];

    queue_bounce_field(n->out, true, "Date", "%s",
                       mail_date_header(b->now_ms, date));
    queue_bounce_field(n->out, true, "From",
                       "\"Mail relay %s\" <MAILER-DAEMON@%s>", b->hostname,
                       b->hostname);
    queue_bounce_field(n->out, n->utf8, "To", "<%s>",
                       b->message->envelope.from);
    queue_bounce_field(n->out, true, "Subject", "%s", subject(b->action));
    queue_bounce_field(n->out, true, "Message-ID", "<%s>", message_id);
    if (is_message_id(b->message->message_id))
        queue_bounce_field(n->out, n->utf8, "References", "%s",
                           b->message->message_id);
    /* RFC 3834 section 5 */
    queue_bounce_field(n->out, true, "Auto-Submitted", "auto-replied");
    if (b->message->tls_required_no) /* what was asked for the message is
                                        asked for news of it */
        queue_bounce_field(n->out, true, "TLS-Required", "No");
    queue_bounce_field(n->out, true, "MIME-Version", "1.0");
    queue_bounce_field(n->out, true, "Content-Type",
                       "multipart/report; report-type=delivery-status; "
                       "boundary=\"%s\"",
                       n->boundary);
    buf_add_text(n->out, "\r\n");
}

/* --- parts ------------------------------------------------------------- */

static void
start_part(struct notice *n, const char *type, struct slice content)
{
    buf_printf(n->out, "--%s\r\nContent-Type: %s\r\n", n->boundary, type);
    if (!is_ascii(content))
        buf_add_text(n->out, "Content-Transfer-Encoding: 8bit\r\n");
    buf_add_text(n->out, "\r\n");
    buf_add(n->out, content);
    buf_add_text(n->out, "\r\n"); /* belongs to the boundary behind it */
}

static const char *
action_name(enum queue_action action)
{
    switch (action) {
    case QUEUE_ACTION_FAILED:
        return "failed";
    case QUEUE_ACTION_DELAYED:
        return "delayed";
    case QUEUE_ACTION_RELAYED:
        return "relayed";
    }
    return "";
}

/* What was said last, and by whom: RFC 3464 sections 2.3.5 and 2.3.6. */
static void
add_diagnosis(const struct notice *n, struct buf *out,
              const struct queue_bounce_rcpt *r)
{
    const struct mail_status *s = &r->status;
    char enhanced[16];

    if (!r->remote_mta) {
        queue_bounce_field(out, n->utf8, "Diagnostic-Code", "X-Sealpost; %s",
                           s->text);
        return;
    }
    queue_bounce_field(out, n->utf8, "Remote-MTA", "dns; %s", r->remote_mta);
    queue_bounce_field(out, n->utf8, "Diagnostic-Code", "smtp; %03d %s%s%s",
                       s->code,
                       s->klass ? mail_status_enhanced(s, enhanced) : "",
                       s->klass ? " " : "", s->text);
}

/* Fields of one recipient: RFC 3464 section 2.3.  An address in UTF-8 has a
 * type of its own: RFC 6533 section 3. */
static void
add_rcpt_fields(const struct notice *n, struct buf *out,
                const struct queue_bounce_rcpt *r)
{
    const struct mail_status *s = &r->status;
    char date[MAIL_DATE_SIZE];
    char enhanced[16];

    buf_add_text(out, "\r\n");
    if (r->rcpt->orcpt)
        queue_bounce_field(out, n->utf8, "Original-Recipient", "%s",
                           r->rcpt->orcpt);
    queue_bounce_field(out, n->utf8, "Final-Recipient", "%s; %s",
                       is_ascii(slice_of(r->rcpt->address)) ? "rfc822"
                                                            : "utf-8",
                       r->rcpt->address);
    queue_bounce_field(out, true, "Action", "%s", action_name(n->b->action));
    queue_bounce_field(out, true, "Status", "%s",
                       mail_status_enhanced(s, enhanced));
    add_diagnosis(n, out, r);
    if (r->attempted_ms > 0)
        queue_bounce_field(out, true, "Last-Attempt-Date", "%s",
                           mail_date_header(r->attempted_ms, date));
    if (n->b->action == QUEUE_ACTION_DELAYED && n->b->retry_until_ms > 0)
        queue_bounce_field(out, true, "Will-Retry-Until", "%s",
                           mail_date_header(n->b->retry_until_ms, date));
}

/* RFC 3464 section 2.1 */
static void
describe(const struct notice *n, struct buf *out)
{
    const struct queue_bounce *b = n->b;
    char date[MAIL_DATE_SIZE];

    queue_bounce_field(out, true, "Reporting-MTA", "dns; %s", b->hostname);
    if (b->message->envelope.envid) /* RFC 3461 section 6.3 */
        queue_bounce_field(out, n->utf8, "Original-Envelope-Id", "%s",
                           b->message->envelope.envid);
    queue_bounce_field(out, true, "Arrival-Date", "%s",
                       mail_date_header(b->message->arrived_ms, date));
    for (size_t i = 0; i < b->rcpt_count; i++)
        add_rcpt_fields(n, out, &b->rcpt[i]);
}

/* The whole message goes back only where that was asked for, in case of a
 * failure (RFC 3461 section 4.3), and never what asked for REQUIRETLS (RFC 8689
 * section 5). */
static bool
may_come_back(const struct queue_message *m)
{
    return m->envelope.ret == MAIL_RET_FULL && !m->envelope.requiretls &&
           m->size <= QUEUE_BOUNCE_RETURN_MAX;
}

static bool
returns_all(const struct queue_bounce *b)
{
    return b->action == QUEUE_ACTION_FAILED && b->original_is_whole &&
           b->original.len <= QUEUE_BOUNCE_RETURN_MAX &&
           may_come_back(b->message);
}

size_t
queue_bounce_original_max(const struct queue_message *m)
{
    return may_come_back(m) ? QUEUE_BOUNCE_RETURN_MAX
                            : QUEUE_BOUNCE_HEADERS_MAX;
}

/* The header section as far as it is at hand, in whole lines. */
static struct slice
header_section(struct slice original)
{
    struct slice s = slice_first(original, QUEUE_BOUNCE_HEADERS_MAX);
    const char *end = s.len ? memmem(s.p, s.len, "\r\n\r\n", 4) : NULL;

    if (end)
        return slice_first(s, (size_t)(end - s.p) + 2);
    if (s.len >= 2 && memcmp(s.p, "\r\n", 2) == 0)
        return slice_first(s, 0);
    while (s.len > 0 && s.p[s.len - 1] != '\n')
        s.len--;
    return s;
}

static void
add_original(struct notice *n)
{
    const struct queue_bounce *b = n->b;
    struct slice headers = header_section(b->original);
    bool utf8 = n->utf8 && !is_ascii(headers);

    if (returns_all(b))
        start_part(n, utf8 ? "message/global" : "message/rfc822", b->original);
    else if (headers.len > 0)
        start_part(n, utf8 ? "message/global-headers" : "text/rfc822-headers",
                   headers);
}

/* --- the message ------------------------------------------------------- */

static void
add_recipient(struct queue_message *m, const char *address)
{
    struct mail_rcpt *rcpt = mail_envelope_add(&m->envelope);
    struct mail_address parsed;
    struct err err;
    const char *at = strrchr(address, '@');

    rcpt->address = mem_text(address);
    if (mail_address_parse(slice_of(address), true, &parsed, &err) &&
        !parsed.is_literal)
        rcpt->domain = mem_text(parsed.domain.text);
    else
        rcpt->domain = mem_text(at ? at + 1 : "");
}

static void
write_notice(struct notice *n, const char *message_id)
{
    scoped(buf_free) struct buf text = {0};
    scoped(buf_free) struct buf status = {0};

    queue_bounce_explain(n->b, &text);
    describe(n, &status);
    choose_boundary(n, buf_slice(&text), buf_slice(&status));
    add_header(n, message_id);
    start_part(n, "text/plain; charset=utf-8", buf_slice(&text));
    start_part(n,
               is_ascii(buf_slice(&status)) ? "message/delivery-status"
                                            : "message/global-delivery-status",
               buf_slice(&status));
    add_original(n);
    buf_printf(n->out, "--%s--\r\n", n->boundary);
}

struct queue_message *
queue_bounce_new(const struct queue_bounce *b)
{
    struct queue_message *m = queue_message_new();
    scoped(own_free) char *message_id = own_id(b);
    struct notice n = {.b = b, .out = &m->body, .utf8 = may_use_utf8(b)};
    char id[ID_TEXT_SIZE];

    write_notice(&n, message_id);
    m->id = b->id;
    m->arrived_ms = b->steady_ms;
    free(m->envelope.from);
    m->envelope.from = mem_text(""); /* RFC 3461 section 6.1 */
    m->has_8bit = !is_ascii(buf_slice(&m->body));
    m->envelope.body_8bit = m->has_8bit;
    /* The only field of its own header section that may have UTF-8 is To;
     * parts with UTF-8 go anywhere: RFC 6533 section 4. */
    m->envelope.smtputf8 = !is_ascii(slice_of(b->message->envelope.from));
    m->envelope.requiretls =
        b->message->envelope.requiretls; /* RFC 8689 section 5 */
    m->tls_required_no = b->message->tls_required_no;
    m->size = m->body.len;
    m->origin = mem_printf("notice about %s", id_text(b->message->id, id));
    m->message_id = mem_printf("<%s>", message_id);
    add_recipient(m, b->message->envelope.from);
    queue_message_number(m);
    return m;
}
