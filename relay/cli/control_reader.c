#include "relay/base/mem.h"
#include "relay/cli/control.h"

#include <llhttp.h>
#include <stdlib.h>

struct cli_reader {
    llhttp_t parser;
    llhttp_settings_t settings;
    struct cli_answer *out;
    bool whole;
};

static int
on_body(llhttp_t *parser, const char *p, size_t len)
{
    struct cli_reader *r = parser->data;

    if (r->out->body.len + len > CLI_CONTROL_BODY_MAX)
        return -1;
    buf_add(&r->out->body, (struct slice){p, len});
    return 0;
}

static int
on_complete(llhttp_t *parser)
{
    struct cli_reader *r = parser->data;

    r->whole = true;
    r->out->status = parser->status_code;
    return HPE_PAUSED;
}

struct cli_reader *
cli_reader_new(struct cli_answer *out)
{
    struct cli_reader *r = mem_new(struct cli_reader);

    llhttp_settings_init(&r->settings);
    r->settings.on_body = on_body;
    r->settings.on_message_complete = on_complete;
    llhttp_init(&r->parser, HTTP_RESPONSE, &r->settings);
    r->parser.data = r;
    r->out = out;
    return r;
}

void
cli_reader_free(struct cli_reader **place)
{
    free(take(place));
}

bool
cli_reader_feed(struct cli_reader *r, struct slice in, bool *whole,
                struct err *err)
{
    llhttp_errno_t code = llhttp_execute(&r->parser, in.p, in.len);

    *whole = r->whole;
    if (r->whole || code == HPE_OK)
        return true;
    return err_set(err, ERR_INPUT, "the answer is no HTTP: %s",
                   llhttp_errno_name(code));
}

bool
cli_reader_end(struct cli_reader *r, struct err *err)
{
    if (!r->whole)
        (void)llhttp_finish(&r->parser);
    return r->whole ||
           err_set(err, ERR_SYSTEM, "the answer ended in the middle");
}
