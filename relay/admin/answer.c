#include "relay/admin/answer.h"

#include "relay/base/own.h"
#include "relay/base/text.h"
#include "relay/mail/date.h"

#include <stdlib.h>

void
admin_answer_text(struct net_http_request *r, int status, const char *text)
{
    struct buf body scoped(buf_free) = {0};

    buf_add_text(&body, text);
    net_http_respond(r, status, "text/plain; charset=utf-8", &body);
}

static int
add_piece(const char *bytes, size_t len, void *ctx)
{
    buf_add(ctx, (struct slice){bytes, len});
    return 0;
}

void
admin_answer_json(struct net_http_request *r, int status, json_t *value)
{
    struct buf body scoped(buf_free) = {0};

    if (json_dump_callback(value, add_piece, &body, JSON_INDENT(2)) != 0)
        abort();
    buf_add_byte(&body, '\n');
    json_decref(value);
    net_http_respond(r, status, "application/json", &body);
}

void
admin_answer_error(struct net_http_request *r, int status, const char *why)
{
    admin_answer_json(r, status, json_pack("{s:o}", "error", admin_text(why)));
}

void
admin_answer_failure(struct net_http_request *r, const struct err *err)
{
    int status = 503;

    if (err->kind == ERR_MISSING)
        status = 404;
    else if (err->kind == ERR_INPUT)
        status = 400;
    else if (err->kind == ERR_LIMIT)
        status = 413;
    admin_answer_error(r, status, err->text);
}

json_t *
admin_text(const char *text)
{
    struct buf clean scoped(buf_free) = {0};

    if (!text)
        return json_null();
    text_clean(slice_of(text), SIZE_MAX, &clean);
    return json_stringn(clean.p ? clean.p : "", clean.len);
}

json_t *
admin_lines(const char *text)
{
    struct buf clean scoped(buf_free) = {0};
    struct slice rest = slice_of(text ? text : "");

    if (!text)
        return json_null();
    while (rest.len > 0) {
        struct slice line = slice_cut(&rest, '\n');

        if (line.len > 0 && line.p[line.len - 1] == '\r')
            line.len--;
        text_clean(line, SIZE_MAX, &clean);
        buf_add_byte(&clean, '\n');
    }
    return json_stringn(clean.p ? clean.p : "", clean.len);
}

json_t *
admin_time(int64_t unix_ms)
{
    char date[MAIL_DATE_SIZE];

    return unix_ms > 0 ? json_string(mail_date_rfc3339(unix_ms, date))
                       : json_null();
}
