#include "relay/mail/header.h"

#include "relay/base/mem.h"
#include "relay/base/own.h"
#include "relay/base/text.h"

#include <assert.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct mail_header_scan
scan(struct slice message, size_t piece)
{
    struct mail_header_scan s = {0};

    while (message.len > 0) {
        mail_header_scan_feed(&s, slice_first(message, piece));
        message = slice_from(message, piece);
    }
    mail_header_scan_end(&s);
    return s;
}

static void
check_cuts(struct slice message, size_t piece)
{
    struct mail_header_scan a = scan(message, message.len);
    struct mail_header_scan b = scan(message, piece);
    struct slice id = slice_of(a.message_id);

    assert(a.ended && b.ended);
    assert(a.seen == b.seen && a.seen <= MAIL_HEADER_BUDGET);
    assert(a.section == b.section && a.section <= a.seen);
    assert(a.section == 0 || message.p[a.section - 1] == '\n');
    assert(a.received == b.received && a.has_bcc == b.has_bcc);
    assert(a.has_message_id == b.has_message_id && a.is_signed == b.is_signed);
    assert(a.tls_required_no == b.tls_required_no);
    assert(strcmp(a.message_id, b.message_id) == 0);
    for (uint32_t code; id.len > 0;) {
        size_t n = text_next(id, &code);

        assert(n > 0 && text_may_show(code));
        id = slice_from(id, n);
    }
}

/* Whatever a client calls itself and its recipient, it stays one field. */
static void
check_received(struct slice text)
{
    scoped(buf_free) struct buf out = {0};
    scoped(own_free) char *value = mem_copy(text);
    struct mail_header_scan s;
    struct mail_received r = {.helo = value,
                              .client_ip = "192.0.2.1",
                              .by = "relay.example",
                              .with = "ESMTP",
                              .id = "0123456789",
                              .rcpt = value};

    mail_header_received(&out, &r);
    assert(memcmp(out.p + out.len - 2, "\r\n", 2) == 0);
    for (size_t i = 0; i < out.len; i++)
        assert((out.p[i] == '\r') == (i + 1 < out.len && out.p[i + 1] == '\n'));
    buf_add_text(&out, "X: y\r\n\r\nReceived: z\r\n");
    s = scan(buf_slice(&out), out.len);
    assert(s.received == 1 && !s.has_bcc && !s.is_signed);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice text = {(const char *)data, size};

    if (size == 0)
        return 0;
    check_cuts(slice_from(text, 1), data[0] % 16 + 1U);
    check_received(text);
    return 0;
}
