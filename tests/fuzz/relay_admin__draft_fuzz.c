/* Whatever a client describes, a message of clean lines comes of it, whose
 * header section has each field of ours once, or nothing. */
#include "relay/admin/draft.h"

#include "relay/mail/field.h"

#include <stdlib.h>

#define MUST(what)                                                             \
    do {                                                                       \
        if (!(what))                                                           \
            abort();                                                           \
    } while (0)

static void
check_lines(struct slice m)
{
    while (m.len > 0) {
        struct slice line = slice_cut(&m, '\n');

        MUST(line.len > 0 && line.p[line.len - 1] == '\r');
        MUST(line.len <= 999);
        line.len--;
        MUST(line.len == 0 || !memchr(line.p, '\r', line.len));
        MUST(line.len == 0 || !memchr(line.p, '\0', line.len));
    }
}

static void
check_fields(struct slice m)
{
    const char *end = memmem(m.p, m.len, "\r\n\r\n", 4);
    struct mail_field field;
    unsigned from = 0, bcc = 0, version = 0;

    MUST(end);
    m.len = (size_t)(end - m.p) + 2;
    while (mail_field_next(&m, &field)) {
        from += slice_is_nocase(field.name, "From");
        bcc += slice_is_nocase(field.name, "Bcc");
        version += slice_is_nocase(field.name, "MIME-Version");
    }
    MUST(from == 1 && bcc == 0 && version == 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct admin_draft_facts facts = {"relay.test", 0, "unique"};
    scoped(mail_envelope_done) struct mail_envelope envelope = {0};
    scoped(buf_free) struct buf message = {0};
    struct buf json = {0};
    struct err err;
    bool is_json;

    buf_add(&json, (struct slice){(const char *)data, size});
    if (!admin_draft(&json, &facts, &envelope, &message, &is_json, &err)) {
        MUST(err.text[0]);
        return 0;
    }
    MUST(is_json && envelope.rcpt_count > 0);
    check_lines(buf_slice(&message));
    check_fields(buf_slice(&message));
    return 0;
}
