#include "relay/cli/event_stream.h"

#include "relay/base/mem.h"

#include <llhttp.h>
#include <stdlib.h>

struct cli_event_stream {
    llhttp_t parser;
    llhttp_settings_t settings;
    cli_event_fn *event;
    void *ctx;
    struct buf line, data;
    bool has_data, is_over;
};

static bool
is_good(const struct cli_event_stream *s)
{
    return s->parser.status_code == 200;
}

static void
end_event(struct cli_event_stream *s)
{
    if (s->has_data)
        s->event(s->ctx, buf_slice(&s->data));
    buf_clear(&s->data);
    s->has_data = false;
}

static void
end_line(struct cli_event_stream *s)
{
    static const char name[] = "data:";
    size_t skip = sizeof(name) - 1;
    struct slice line = buf_slice(&s->line);

    if (line.len == 0) {
        end_event(s);
    } else if (line.len >= skip && memcmp(line.p, name, skip) == 0) {
        line = slice_from(line, skip);
        buf_clear(&s->data);
        buf_add(&s->data, slice_from(line, line.len > 0 && *line.p == ' '));
        s->has_data = true;
    }
    buf_clear(&s->line);
}

static int
on_body(llhttp_t *parser, const char *p, size_t len)
{
    struct cli_event_stream *s = parser->data;
    struct slice rest = {p, len};

    while (rest.len > 0) {
        const char *end = memchr(rest.p, '\n', rest.len);
        size_t n = end ? (size_t)(end - rest.p) : rest.len;

        if (!is_good(s))
            n = rest.len;
        if (s->line.len + n > CLI_EVENT_LINE_MAX)
            return -1;
        buf_add(&s->line, slice_first(rest, n));
        if (end && is_good(s)) {
            end_line(s);
            n++;
        }
        rest = slice_from(rest, n);
    }
    return 0;
}

static int
on_complete(llhttp_t *parser)
{
    struct cli_event_stream *s = parser->data;

    s->is_over = true;
    return HPE_PAUSED;
}

struct cli_event_stream *
cli_event_stream_new(cli_event_fn *event, void *ctx)
{
    struct cli_event_stream *s = mem_new(struct cli_event_stream);

    llhttp_settings_init(&s->settings);
    s->settings.on_body = on_body;
    s->settings.on_message_complete = on_complete;
    llhttp_init(&s->parser, HTTP_RESPONSE, &s->settings);
    s->parser.data = s;
    s->event = event;
    s->ctx = ctx;
    return s;
}

void
cli_event_stream_free(struct cli_event_stream **place)
{
    struct cli_event_stream *s = take(place);

    if (!s)
        return;
    buf_free(&s->line);
    buf_free(&s->data);
    free(s);
}

bool
cli_event_stream_feed(struct cli_event_stream *s, struct slice in,
                      struct err *err)
{
    llhttp_errno_t code;

    if (s->is_over)
        return true;
    code = llhttp_execute(&s->parser, in.p, in.len);
    if (s->is_over || code == HPE_OK)
        return true;
    return err_set(err, ERR_INPUT, "the answer is no stream of events: %s",
                   llhttp_errno_name(code));
}

bool
cli_event_stream_is_over(const struct cli_event_stream *s)
{
    return s->is_over;
}

int
cli_event_stream_status(const struct cli_event_stream *s)
{
    return s->parser.status_code;
}

struct slice
cli_event_stream_refusal(const struct cli_event_stream *s)
{
    return buf_slice(&s->line);
}
