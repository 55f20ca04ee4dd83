#include "relay/cli/event_text.h"

#include "relay/base/own.h"
#include "relay/base/text.h"
#include "relay/cli/term.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Bare where that can't be misread. */
static void
add_string(const json_t *value, struct buf *out)
{
    struct slice text = {json_string_value(value), json_string_length(value)};
    struct buf clean scoped(buf_free) = {0};

    text_clean(text, SIZE_MAX, &clean);
    if (clean.len > 0 && !strpbrk(buf_text(&clean), " =\"\\")) {
        buf_add(out, buf_slice(&clean));
        return;
    }
    buf_add_byte(out, '"');
    for (size_t i = 0; i < clean.len; i++) {
        if (strchr("\"\\", clean.p[i]))
            buf_add_byte(out, '\\');
        buf_add_byte(out, clean.p[i]);
    }
    buf_add_byte(out, '"');
}

/* As a log for people has it; nothing else is known to be an object. */
static void
add_numbers(json_t *object, struct buf *out)
{
    const char *name, *mark = "";
    json_t *value;

    json_object_foreach(object, name, value)
    {
        buf_add_text(out, mark);
        text_clean(slice_of(name), SIZE_MAX, out);
        buf_printf(out, ":%" PRId64, (int64_t)json_integer_value(value));
        mark = ",";
    }
    if (mark[0] == '\0')
        buf_add_byte(out, '?');
}

static void
add_value(json_t *value, struct buf *out)
{
    if (json_is_string(value))
        add_string(value, out);
    else if (json_is_integer(value))
        buf_printf(out, "%" PRId64, (int64_t)json_integer_value(value));
    else if (json_is_object(value))
        add_numbers(value, out);
    else if (json_is_boolean(value))
        buf_add_text(out, json_is_true(value) ? "true" : "false");
    else
        buf_add_text(out, json_is_null(value) ? "unknown" : "?");
}

static bool
is_head(const char *key)
{
    return strcmp(key, "ts") == 0 || strcmp(key, "level") == 0 ||
           strcmp(key, "event") == 0;
}

static enum cli_paint
paint_of(const char *level, const char *event)
{
    if (strcmp(level, "error") == 0)
        return CLI_RED;
    if (strcmp(level, "warning") == 0 || strcmp(event, "missed") == 0)
        return CLI_YELLOW;
    return CLI_BOLD;
}

static void
add_head(json_t *event, int64_t now_ms, struct buf *out)
{
    struct buf name scoped(buf_free) = {0};
    char time[CLI_TERM_TEXT];
    const char *level = cli_text(event, "level");
    int64_t at = cli_time(event, "ts");

    text_clean(slice_of(cli_text(event, "event")), SIZE_MAX, &name);
    buf_printf(out, "%s %s%s%s", cli_term_time(at ? at : now_ms, now_ms, time),
               cli_term_paint(paint_of(level, cli_text(event, "event"))),
               buf_text(&name), cli_term_paint(CLI_PLAIN));
}

static void
add_fields(json_t *event, struct buf *out)
{
    const char *key;
    json_t *value;

    json_object_foreach(event, key, value)
    {
        if (is_head(key))
            continue;
        buf_add_byte(out, ' ');
        text_clean(slice_of(key), SIZE_MAX, out);
        buf_add_byte(out, '=');
        add_value(value, out);
    }
}

void
cli_event_text(struct slice json, int64_t now_ms, struct buf *out)
{
    json_t *event = json_loadb(json.p ? json.p : "", json.len, 0, NULL);

    if (json_is_object(event)) {
        add_head(event, now_ms, out);
        add_fields(event, out);
    } else {
        text_clean(json, SIZE_MAX, out);
    }
    buf_add_byte(out, '\n');
    json_decref(event);
}
