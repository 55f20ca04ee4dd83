/* Bodies off the wire, against a model that has the whole input at once. */
#include "relay/base/buf.h"
#include "relay/base/own.h"
#include "smtp/unstuff.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct body {
    struct buf message;
    unsigned flaws;
    bool ended;
    size_t used;
};

/* The message ends at the first CRLF.CRLF, a CRLF being imagined in front;
 * each line loses one leading dot. */
static void
model(struct slice in, struct body *b)
{
    scoped(buf_free) struct buf wire = {0};
    const char *end;

    buf_add_text(&wire, "\r\n");
    buf_add(&wire, in);
    end = memmem(wire.p, wire.len, "\r\n.\r\n", 5);
    b->ended = end != NULL;
    b->used = end ? (size_t)(end - wire.p) + 3 : in.len;
    for (size_t i = 2; i < (end ? b->used - 1 : wire.len); i++) {
        char before = wire.p[i - 1], c = wire.p[i];
        bool is_line_start = before == '\n' && wire.p[i - 2] == '\r';

        if (c == '\n' && (i == 2 || before != '\r'))
            b->flaws |= SMTP_UNSTUFF_BARE_LF;
        if (c == '\r' && i + 1 < wire.len && wire.p[i + 1] != '\n')
            b->flaws |= SMTP_UNSTUFF_BARE_CR;
        if (c == '\0')
            b->flaws |= SMTP_UNSTUFF_NUL;
        if (c != '.' || !is_line_start)
            buf_add_byte(&b->message, c);
    }
}

static void
read_body(struct slice in, size_t step, struct body *b)
{
    struct smtp_unstuff u = {0};

    while (b->used < in.len && !b->ended) {
        struct slice part = slice_first(slice_from(in, b->used), step);
        struct slice rest = part, piece;

        b->ended = smtp_unstuff_data(&u, &rest, &piece);
        assert(rest.len < part.len);
        assert(piece.p >= part.p && piece.p + piece.len <= part.p + part.len);
        b->used += part.len - rest.len;
        buf_add(&b->message, piece);
    }
    assert(u.flaws || u.octets == b->message.len);
    b->flaws = u.flaws;
}

static void
compare(const struct body *want, const struct body *got)
{
    assert(want->ended == got->ended && want->flaws == got->flaws);
    assert(want->used == got->used);
    if (!want->ended || want->flaws)
        return;
    assert(want->message.len == got->message.len);
    assert(!want->message.len ||
           memcmp(want->message.p, got->message.p, want->message.len) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice in = {(const char *)data, size};
    struct body want = {0};

    model(in, &want);
    for (size_t step = 1; step <= size; step = step < 8 ? step + 1 : step * 7) {
        struct body got = {0};

        read_body(in, step, &got);
        compare(&want, &got);
        buf_free(&got.message);
    }
    buf_free(&want.message);
    return 0;
}
