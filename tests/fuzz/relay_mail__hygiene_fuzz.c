#include "relay/mail/field.h"
#include "relay/mail/hygiene.h"
#include "relay/mail/mailbox.h"

#include "relay/base/mem.h"

#include <assert.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_fields(struct slice section)
{
    struct slice rest = section;
    struct mail_field f;
    size_t all = 0;

    while (mail_field_next(&rest, &f)) {
        assert(f.all.p == section.p + all && f.all.len > 0);
        all += f.all.len;
    }
    assert(all == section.len);
}

static void
check_mailboxes(struct slice value)
{
    struct mail_mailbox_scan s = {.rest = value};
    struct mail_mailbox box;
    const char *at = value.p;

    while (mail_mailbox_next(&s, &box)) {
        assert(box.span.p >= at && box.span.len > 0);
        at = box.span.p + box.span.len;
        assert(at <= value.p + value.len && box.len < sizeof(box.text));
    }
}

static bool
has_field(struct slice section, const char *name)
{
    struct mail_field f;

    while (mail_field_next(&section, &f))
        if (slice_is_nocase(f.name, name))
            return true;
    return false;
}

/* Without a rule that is about it each field stays, in its order. */
static void
check_least(struct slice section)
{
    static const struct mail_hygiene least = {.hostname = "relay.example"};
    scoped(buf_free) struct buf out = {0};
    struct mail_field was, is;
    struct slice rest;

    (void)mail_hygiene(section, &least, &out);
    rest = buf_slice(&out);
    while (mail_field_next(&section, &was)) {
        if (slice_is_nocase(was.name, "Bcc") ||
            slice_is_nocase(was.name, "Resent-Bcc"))
            continue;
        assert(mail_field_next(&rest, &is));
        assert(was.all.len == is.all.len &&
               memcmp(was.all.p, is.all.p, is.all.len) == 0);
    }
    assert(rest.len == 0);
}

static void
check_full(struct slice section, const struct mail_sender_map *map)
{
    const struct mail_hygiene full = {
        .date = "Thu, 01 Jan 1970 00:00:00 +0000",
        .message_id = "<1@relay.example>",
        .from = "a@n.example",
        .strip_received = true,
        .hostname = "relay.example",
        .rewrite = {map, "n.example", "relay.example"},
    };
    scoped(buf_free) struct buf out = {0};

    (void)mail_hygiene(section, &full, &out);
    assert(!has_field(buf_slice(&out), "Bcc"));
    assert(has_field(buf_slice(&out), "Date") ||
           has_field(section, "DKIM-Signature"));
}

/* A map, a NUL, a header section whose lines end in CRLF. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice section = {(const char *)data, size};
    struct slice text = slice_cut(&section, '\0');
    scoped(buf_free) struct buf lines = {0};
    struct mail_sender_map *map;
    struct err err;

    map = mail_sender_map_parse(text, &err);
    /* A section begins with a field. */
    while (section.len > 0 && (section.p[0] == ' ' || section.p[0] == '\t'))
        section = slice_from(section, 1);
    while (section.len > 0) {
        buf_add(&lines, slice_cut(&section, '\n'));
        buf_add_text(&lines, "\r\n");
    }
    check_fields(buf_slice(&lines));
    check_mailboxes(buf_slice(&lines));
    check_least(buf_slice(&lines));
    check_full(buf_slice(&lines), map);
    mail_sender_map_free(&map);
    return 0;
}
