#include "relay/cli/filter.h"

#include "relay/cli/control.h"
#include "relay/cli/term.h"

bool
cli_filter_is_empty(const struct cli_filter *f)
{
    for (size_t i = 0; i < ADMIN_FILTER_COUNT; i++)
        if (f->value[i])
            return false;
    return true;
}

bool
cli_filter_fill(const struct cli_filter *f, struct admin_filter *out,
                int64_t now_ms, struct err *err)
{
    for (size_t i = 0; i < ADMIN_FILTER_COUNT; i++)
        if (f->value[i] && !admin_filter_set(out, admin_filter_names[i],
                                             f->value[i], now_ms, err))
            return false;
    return true;
}

int
cli_filter_check(const struct cli_filter *f, const struct cli_command *c)
{
    struct admin_filter filter scoped(admin_filter_done) = {0};
    struct err err;

    if (cli_filter_fill(f, &filter, cli_now_ms(), &err))
        return CLI_GO_ON;
    return cli_command_misuse(c, "%s", err.text);
}

void
cli_filter_add(const struct cli_filter *f, struct buf *url)
{
    for (size_t i = 0; i < ADMIN_FILTER_COUNT; i++) {
        if (!f->value[i])
            continue;
        buf_printf(url, "&%s=", admin_filter_names[i]);
        cli_url_add(url, f->value[i]);
    }
}

void
cli_filter_put(const struct cli_filter *f, json_t *object)
{
    for (size_t i = 0; i < ADMIN_FILTER_COUNT; i++)
        if (f->value[i])
            json_object_set_new(object, admin_filter_names[i],
                                json_string(f->value[i]));
}
