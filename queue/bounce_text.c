#include "queue/bounce_text.h"

#include "relay/base/id.h"
#include "relay/base/own.h"
#include "relay/base/text.h"
#include "relay/mail/date.h"

#include <stdarg.h>
#include <stdio.h>

enum {
    VALUE_MAX = 2048, /* octets of a field or of a quoted text */
    WIDTH = 76,       /* where lines are wrapped if they can be */
    LINE_MAX = 900,   /* where they are broken if not: RFC 5322 section 2.1.1
                         allows 998 */
};

/* --- fields ------------------------------------------------------------ */

/* How much of `text` goes into a line that has `used` octets already: up to
 * the last space that fits, else up to the first that comes. */
static size_t
line_len(struct slice text, size_t used)
{
    size_t room = used < WIDTH ? WIDTH - used : 1;
    size_t n = 0;

    if (text.len <= room)
        return text.len;
    for (size_t i = 1; i < text.len && i <= room; i++)
        if (text.p[i] == ' ')
            n = i;
    for (size_t i = room; n == 0 && i < text.len && i < LINE_MAX; i++)
        if (text.p[i] == ' ')
            n = i;
    if (n > 0)
        return n;
    n = text.len < LINE_MAX ? text.len : LINE_MAX;
    while (n > 1 && n < text.len && ((unsigned char)text.p[n] & 0xC0) == 0x80)
        n--; /* not within a character */
    return n;
}

/* Writes text in lines that start with `indent`, the first one behind `used`
 * octets that are there.  Each line but the first is without the space that it
 * was broken at. */
static void
wrap(struct buf *out, struct slice text, size_t used, const char *indent)
{
    for (;;) {
        size_t n = line_len(text, used);

        buf_add(out, slice_first(text, n));
        buf_add_text(out, "\r\n");
        text = slice_from(text, n);
        while (text.len > 0 && text.p[0] == ' ')
            text = slice_from(text, 1);
        if (text.len == 0)
            return;
        buf_add_text(out, indent);
        used = strlen(indent);
    }
}

void
queue_bounce_field(struct buf *out, bool utf8, const char *name,
                   const char *fmt, ...)
{
    scoped(buf_free) struct buf value = {0};
    char text[VALUE_MAX];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    text_clean(slice_of(text), VALUE_MAX, &value);
    for (size_t i = 0; !utf8 && i < value.len; i++)
        if ((unsigned char)value.p[i] > 127)
            value.p[i] = '?';
    buf_printf(out, "%s: ", name);
    wrap(out, slice_trim(buf_slice(&value)), strlen(name) + 2, " ");
}

/* --- the words --------------------------------------------------------- */

/* A paragraph with what strangers said in it. */
static void say(struct buf *out, const char *indent, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static void
say(struct buf *out, const char *indent, const char *fmt, ...)
{
    scoped(buf_free) struct buf clean = {0};
    char text[VALUE_MAX];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    text_clean(slice_of(text), VALUE_MAX, &clean);
    buf_add_text(out, indent);
    wrap(out, slice_trim(buf_slice(&clean)), strlen(indent), indent);
}

static void
introduce(const struct queue_bounce *b, struct buf *out)
{
    char date[MAIL_DATE_SIZE];

    switch (b->action) {
    case QUEUE_ACTION_FAILED:
        say(out, "",
            "The mail relay %s could not deliver your message to the "
            "recipients below. It has given up on them.",
            b->hostname);
        break;
    case QUEUE_ACTION_DELAYED:
        say(out, "",
            "The mail relay %s has not been able to deliver your message to "
            "the recipients below yet. It goes on trying; you need not send "
            "the message again.",
            b->hostname);
        if (b->retry_until_ms > 0)
            say(out, "", "It will give up on %s.",
                mail_date_header(b->retry_until_ms, date));
        break;
    case QUEUE_ACTION_RELAYED:
        say(out, "",
            "The mail relay %s has passed your message on to a server that "
            "sends no notices of delivery. You will not hear whether it "
            "reached the recipients below, unless it fails.",
            b->hostname);
        break;
    }
    buf_add_text(out, "\r\n");
}

static void
describe_message(const struct queue_bounce *b, struct buf *out)
{
    const struct queue_message *m = b->message;
    char date[MAIL_DATE_SIZE];
    char id[ID_TEXT_SIZE];

    say(out, "  ", "Queue id: %s", id_text(m->id, id));
    say(out, "  ", "Received: %s", mail_date_header(m->arrived_ms, date));
    if (m->message_id)
        say(out, "  ", "Message-ID: %s", m->message_id);
    buf_add_text(out, "\r\n");
}

/* What a sender can do, by the subject of the enhanced code (RFC 3463 section
 * 3); our own words where we, and not a server, have refused. */
static const char *
advice(const struct queue_bounce_rcpt *r)
{
    const struct mail_status *s = &r->status;

    switch (s->subject) {
    case 1:
        return "Check the address for mistakes, or ask the recipient for the "
               "right one by other means.";
    case 2:
        return "The recipient's mailbox takes no mail at present. Try again "
               "later, or reach the recipient by other means.";
    case 3:
    case 6:
        return "The recipient's server does not accept this message as it "
               "is. A smaller or simpler message may get through.";
    case 4:
        return "The recipient's servers could not be reached. Try again "
               "later; if that does not help, their administrator must know.";
    case 7:
        return r->remote_mta
                   ? "The recipient's server refuses this message by its own "
                     "rules. Ask the recipient, or their administrator, to "
                     "let it in."
                   : "The connection to the recipient's servers is not as "
                     "secure as required, so the message was not handed over. "
                     "The administrator of the recipient's domain can mend "
                     "this; please pass this notice on.";
    default:
        return "If the answer above does not help, pass this notice on to "
               "your administrator.";
    }
}

static void
describe_rcpt(const struct queue_bounce *b, const struct queue_bounce_rcpt *r,
              struct buf *out)
{
    const struct mail_status *s = &r->status;
    char enhanced[16];

    say(out, "", "<%s>", r->rcpt->address);
    if (b->action == QUEUE_ACTION_RELAYED && r->remote_mta)
        say(out, "    ", "Passed on to %s.", r->remote_mta);
    else if (r->remote_mta)
        say(out, "    ", "%s answered: %03d %s%s%s", r->remote_mta, s->code,
            s->klass ? mail_status_enhanced(s, enhanced) : "",
            s->klass ? " " : "", s->text);
    else
        say(out, "    ", "%s (%s)", s->text, mail_status_enhanced(s, enhanced));
    if (r->explanation)
        say(out, "    ", "%s", r->explanation);
    if (b->action == QUEUE_ACTION_FAILED)
        say(out, "    ", "%s", advice(r));
    buf_add_text(out, "\r\n");
}

void
queue_bounce_explain(const struct queue_bounce *b, struct buf *out)
{
    introduce(b, out);
    describe_message(b, out);
    for (size_t i = 0; i < b->rcpt_count; i++)
        describe_rcpt(b, &b->rcpt[i], out);
    say(out, "",
        "Below is a technical report for administrators and programs.");
}
