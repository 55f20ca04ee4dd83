#include "relay/cli/letter.h"

#include <assert.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
count(void *ctx, const char *address)
{
    assert(*address);
    ++*(size_t *)ctx;
}

/* Whatever is typed, canonical lines go out and no address is empty. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice in = {(const char *)data, size};
    struct cli_letter_wish wish = {
        .take_recipients = true, .from = "me@here.example", .name = "Me \"x\""};
    struct buf lines = {0}, out = {0};
    size_t told = 0;
    struct err err;

    cli_letter_lines(in, size & 1, &lines);
    for (size_t i = 0; i < lines.len; i++) {
        bool is_cr = lines.p[i] == '\r';

        assert(!is_cr || (i + 1 < lines.len && lines.p[i + 1] == '\n'));
        assert(lines.p[i] != '\n' || (i > 0 && lines.p[i - 1] == '\r'));
    }
    if (cli_letter_make(buf_slice(&lines), &wish, count, &told, &out, &err))
        assert(out.len > 0);
    buf_free(&lines);
    buf_free(&out);
    return 0;
}
