#include "relay/mail/downgrade.h"

#include <assert.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
feed(struct mail_downgrade *d, struct slice in, size_t piece, struct buf *out)
{
    while (in.len > 0) {
        mail_downgrade_feed(d, slice_first(in, piece), out);
        in = slice_from(in, piece);
    }
}

static bool
convert(struct slice in, size_t piece, struct buf *out)
{
    scoped(mail_downgrade_free) struct mail_downgrade *d = mail_downgrade_new();
    struct err err;

    feed(d, in, piece, NULL);
    if (!mail_downgrade_turn(d, &err))
        return false;
    feed(d, in, piece + 1, out);
    mail_downgrade_end(d, out);
    return true;
}

static bool
is_same(const struct buf *a, const struct buf *b)
{
    return a->len == b->len && (a->len == 0 || !memcmp(a->p, b->p, a->len));
}

static bool
is_ascii(struct slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.p[i] >= 0x80)
            return false;
    return true;
}

static void
check(struct slice message, size_t piece)
{
    scoped(buf_free) struct buf whole = {0}, cut = {0}, again = {0};
    bool ok = convert(message, message.len + 1, &whole);

    assert(convert(message, piece, &cut) == ok && is_same(&whole, &cut));
    if (!ok)
        return;
    /* What was converted stays, as it needs no more. */
    assert(convert(buf_slice(&whole), piece, &again));
    assert(is_same(&whole, &again));
    if (is_ascii(message))
        assert(whole.len == message.len &&
               (whole.len == 0 || !memcmp(whole.p, message.p, whole.len)));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice rest = {(const char *)data, size};
    scoped(buf_free) struct buf lines = {0};

    if (size == 0)
        return 0;
    rest = slice_from(rest, 1);
    while (rest.len > 0) {
        buf_add(&lines, slice_cut(&rest, '\n'));
        buf_add_text(&lines, "\r\n");
    }
    check(buf_slice(&lines), data[0] % 16 + 1U);
    return 0;
}
