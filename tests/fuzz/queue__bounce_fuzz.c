/* Whatever strangers said, a notice has our header fields and no others, and
 * exactly its own parts.  The input is cut at NULs into the texts of a notice,
 * the rest is the message that came back. */
#include "queue/bounce.h"

#include "relay/base/mem.h"
#include "relay/base/own.h"

#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LINE_MAX_WIRE = 998 };

static const char *const fields[] = {
    "Date: ",           "From: ",         "To: ",
    "Subject: ",        "Message-ID: ",   "References: ",
    "Auto-Submitted: ", "MIME-Version: ", "Content-Type: ",
    "TLS-Required: ",
};

/* The line at the start of `rest`, which moves behind it. */
static struct slice
cut_line(struct slice *rest)
{
    const char *end = memmem(rest->p, rest->len, "\r\n", 2);
    struct slice line = slice_first(*rest, (size_t)(end - rest->p));

    assert(end);
    *rest = slice_from(*rest, line.len + 2);
    return line;
}

static void
check_header(struct slice *rest)
{
    for (;;) {
        struct slice line = cut_line(rest);
        bool is_known = line.len > 0 && line.p[0] == ' ';

        if (line.len == 0)
            return;
        assert(line.len <= LINE_MAX_WIRE);
        assert(!memchr(line.p, '\r', line.len));
        assert(!memchr(line.p, '\n', line.len));
        for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++)
            is_known = is_known || slice_starts_nocase(line, fields[i]);
        assert(is_known);
    }
}

static void
check(const struct queue_message *m)
{
    struct slice all = buf_slice(&m->body), rest = all;
    const char *name = memmem(all.p, all.len, "\r\n boundary=\"", 13);
    struct slice boundary = {name + 13, 0};
    size_t count = 0;

    boundary.len = (size_t)((char *)memchr(boundary.p, '"', 60) - boundary.p);
    check_header(&rest);
    while (rest.len > 0) {
        const char *at = memmem(rest.p, rest.len, boundary.p, boundary.len);

        if (!at)
            break;
        count++;
        rest = slice_from(rest, (size_t)(at - rest.p) + boundary.len);
    }
    assert(slice_is(rest, "--\r\n"));
    assert(count == 3 || count == 4); /* two or three parts, and the end */
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice in = {(const char *)data, size};
    scoped(own_free) char *kind = mem_copy(slice_cut(&in, '\0'));
    scoped(own_free) char *reply = mem_copy(slice_cut(&in, '\0'));
    scoped(own_free) char *why = mem_copy(slice_cut(&in, '\0'));
    scoped(own_free) char *host = mem_copy(slice_cut(&in, '\0'));
    scoped(queue_message_free) struct queue_message *m = queue_message_new();
    scoped(queue_message_free) struct queue_message *notice = NULL;
    struct queue_bounce_rcpt rcpt = {.explanation = why, .remote_mta = host};
    struct mail_rcpt *r = mail_envelope_add(&m->envelope);
    unsigned bits = (unsigned char)kind[0];
    struct queue_bounce b = {.action = bits % 3,
                             .hostname = "relay.example",
                             .message = m,
                             .original = in,
                             .original_is_whole = bits & 4,
                             .rcpt = &rcpt,
                             .rcpt_count = 1};

    m->envelope.from = mem_text("a@one.example");
    m->envelope.envid = mem_copy(slice_cut(&in, '\0'));
    m->envelope.ret = bits & 8 ? MAIL_RET_FULL : MAIL_RET_HDRS;
    m->envelope.smtputf8 = bits & 16;
    m->message_id = mem_copy(slice_cut(&in, '\0'));
    r->address = mem_text("b@two.example");
    r->domain = mem_text("two.example");
    r->orcpt = mem_copy(slice_cut(&in, '\0'));
    rcpt.rcpt = r;
    b.original = in;
    mail_status_from_reply(&rcpt.status, 550, slice_of(reply));
    notice = queue_bounce_new(&b);
    check(notice);
    return 0;
}
