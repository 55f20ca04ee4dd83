/* Octets as a message: a reader sees one end and the message as it was, and no
 * reader, however lenient about line ends, sees an earlier one. */
#include "smtp/stuff.h"

#include "relay/base/own.h"

#include <assert.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The first octet says how large the pieces are. */
static void
write_message(struct slice message, size_t step, struct buf *wire)
{
    struct smtp_stuff s = {SMTP_STUFF_START};

    for (; message.len > 0; message = slice_from(message, step))
        smtp_stuff_add(&s, slice_first(message, step), wire);
    smtp_stuff_end(&s, wire);
}

/* RFC 5321 section 4.5.2, line by line; false without an end. */
static bool
read_message(struct slice *wire, struct buf *message)
{
    while (wire->len > 0) {
        const char *end = memmem(wire->p, wire->len, "\r\n", 2);
        size_t n = end ? (size_t)(end - wire->p) + 2 : wire->len;
        struct slice line = slice_first(*wire, n);

        *wire = slice_from(*wire, n);
        if (slice_is(line, ".\r\n"))
            return true;
        buf_add(message, slice_from(line, line.p[0] == '.'));
    }
    return false;
}

static bool
is_line_end(char c)
{
    return c == '\r' || c == '\n';
}

/* Where any CR or LF ends a line, a lone dot may stand at the end only. */
static void
check_ends(struct slice wire)
{
    for (size_t i = 0; i + 3 < wire.len; i++)
        assert(wire.p[i] != '.' || (i > 0 && !is_line_end(wire.p[i - 1])) ||
               !is_line_end(wire.p[i + 1]));
}

/* As messages are: CRLF and no other CR or LF, at the end too. */
static void
make_canonical(struct slice in, struct buf *out)
{
    for (size_t i = 0; i < in.len; i++) {
        if (in.p[i] == '\n')
            buf_add_text(out, "\r\n");
        else if (in.p[i] != '\r')
            buf_add_byte(out, in.p[i]);
    }
    if (out->len > 0 && out->p[out->len - 1] != '\n')
        buf_add_text(out, "\r\n");
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice in = {(const char *)data, size};
    size_t step = size > 0 && data[0] > 0 ? data[0] : 1;
    scoped(buf_free) struct buf canonical = {0}, wire = {0}, got = {0},
                                lenient = {0};
    struct slice rest;

    make_canonical(slice_from(in, 1), &canonical);
    write_message(buf_slice(&canonical), step, &wire);
    rest = buf_slice(&wire);
    assert(read_message(&rest, &got) && rest.len == 0);
    assert(got.len == canonical.len);
    assert(got.len == 0 || memcmp(got.p, canonical.p, got.len) == 0);

    write_message(slice_from(in, 1), step, &lenient);
    check_ends(buf_slice(&lenient));
    return 0;
}
