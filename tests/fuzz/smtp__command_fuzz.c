/* Command lines: the same ones however the octets are cut, and a line that is
 * written again from its parts has the same parts. */
#include "smtp/command.h"

#include "relay/base/buf.h"

#include <assert.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_again(const struct smtp_command *c)
{
    scoped(buf_free) struct buf line = {0};
    struct smtp_command again;

    buf_add(&line, c->verb);
    buf_add_byte(&line, ' ');
    buf_add(&line, c->args);
    assert(smtp_command_parse(buf_slice(&line), &again));
    assert(again.verb.len == c->verb.len && again.args.len == c->args.len);
    assert(!memchr(line.p, '\r', line.len) && !memchr(line.p, '\n', line.len) &&
           !memchr(line.p, '\0', line.len));
}

/* Writes down the lines read from pieces of `step` octets. */
static void
read_lines(struct slice in, size_t step, struct buf *log)
{
    struct smtp_command_reader r = {0};

    for (; in.len > 0; in = slice_from(in, step)) {
        struct slice piece = slice_first(in, step), line;

        while (piece.len > 0) {
            enum smtp_command_got got = smtp_command_read(&r, &piece, &line);
            struct smtp_command c;

            if (got == SMTP_COMMAND_PART)
                continue;
            buf_printf(log, "%d ", (int)got);
            if (got != SMTP_COMMAND_WHOLE)
                return;
            assert(line.len + 2 <= SMTP_COMMAND_MAX);
            buf_add(log, line);
            if (smtp_command_parse(line, &c))
                check_again(&c);
        }
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice in = {(const char *)data, size};
    scoped(buf_free) struct buf whole = {0}, cut = {0};

    read_lines(in, size + 1, &whole);
    read_lines(in, 1, &cut);
    assert(whole.len == cut.len &&
           (!whole.len || memcmp(whole.p, cut.p, whole.len) == 0));
    return 0;
}
