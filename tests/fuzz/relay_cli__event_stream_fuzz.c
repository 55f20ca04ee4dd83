/*
 * What a relay, or somebody in its place, says to `sealpost events`.
 *
 *   - however the octets are cut, the same events come out
 *   - what is shown of them is printable
 */
#include "relay/cli/event_stream.h"
#include "relay/cli/event_text.h"

#include "relay/base/text.h"

#include <assert.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
note(void *ctx, struct slice data)
{
    struct buf line = {0};

    cli_event_text(data, 0, &line);
    assert(text_is_utf8(buf_slice(&line)));
    for (size_t i = 0; i + 1 < line.len; i++)
        assert((unsigned char)line.p[i] >= ' ');
    assert(line.p[line.len - 1] == '\n');
    buf_add(ctx, buf_slice(&line));
    buf_free(&line);
}

static void
read_all(struct slice in, size_t piece, struct buf *out)
{
    struct cli_event_stream *s = cli_event_stream_new(note, out);
    struct err err = {0};

    while (in.len > 0) {
        size_t n = piece < in.len ? piece : in.len;

        if (!cli_event_stream_feed(s, slice_first(in, n), &err)) {
            assert(err.text[0]);
            break;
        }
        in = slice_from(in, n);
    }
    cli_event_stream_free(&s);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice in = {(const char *)data, size};
    struct buf whole = {0}, cut = {0};

    read_all(in, SIZE_MAX, &whole);
    read_all(in, 1, &cut);
    assert(whole.len == cut.len &&
           (cut.len == 0 || memcmp(whole.p, cut.p, cut.len) == 0));
    buf_free(&whole);
    buf_free(&cut);
    return 0;
}
