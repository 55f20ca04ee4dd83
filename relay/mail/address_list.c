#include "relay/mail/address_list.h"

#include "relay/base/buf.h"
#include "relay/base/own.h"

struct scan {
    struct slice rest;
    struct buf bare;  /* what stands outside of brackets and comments */
    struct buf angle; /* what stands between angle brackets */
    bool has_angle;
    mail_address_list_fn *each;
    void *ctx;
};

static void
finish(struct scan *s)
{
    struct buf *b = s->has_angle ? &s->angle : &s->bare;
    /* A source route is passed over (RFC 5322 section 4.4). */
    const char *text = buf_text(b), *colon;

    if (s->has_angle && *text == '@' && (colon = strchr(text, ':')) != NULL)
        text = colon + 1;
    if (*text)
        s->each(s->ctx, text);
    buf_clear(&s->bare);
    buf_clear(&s->angle);
    s->has_angle = false;
}

static char
next(struct scan *s)
{
    char c = s->rest.p[0];

    s->rest = slice_from(s->rest, 1);
    return c;
}

/* Comments nest. */
static void
skip_comment(struct scan *s)
{
    size_t depth = 1;

    while (s->rest.len > 0 && depth > 0) {
        char c = next(s);

        if (c == '\\' && s->rest.len > 0)
            (void)next(s);
        else if (c == '(')
            depth++;
        else if (c == ')')
            depth--;
    }
}

static void
copy_quoted(struct scan *s, struct buf *to)
{
    buf_add_byte(to, '"');
    while (s->rest.len > 0) {
        char c = next(s);

        buf_add_byte(to, c);
        if (c == '"')
            return;
        if (c == '\\' && s->rest.len > 0)
            buf_add_byte(to, next(s));
    }
}

static bool
is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void
read_angle(struct scan *s)
{
    s->has_angle = true;
    while (s->rest.len > 0) {
        char c = next(s);

        if (c == '>')
            return;
        if (c == '"')
            copy_quoted(s, &s->angle);
        else if (c == '(')
            skip_comment(s);
        else if (!is_blank(c))
            buf_add_byte(&s->angle, c);
    }
}

/* An address literal: its colons are no group's. */
static void
read_literal(struct scan *s)
{
    char c = '[';

    buf_add_byte(&s->bare, c);
    while (s->rest.len > 0 && c != ']') {
        c = next(s);
        buf_add_byte(&s->bare, c);
    }
}

static void
step(struct scan *s)
{
    char c = next(s);

    if (c == '(')
        skip_comment(s);
    else if (c == '<')
        read_angle(s);
    else if (c == '"')
        copy_quoted(s, &s->bare);
    else if (c == '[')
        read_literal(s);
    else if (c == ',' || c == ';')
        finish(s);
    else if (c == ':') /* the name of a group */
        buf_clear(&s->bare);
    else if (!is_blank(c))
        buf_add_byte(&s->bare, c);
}

void
mail_address_list_each(struct slice list, mail_address_list_fn *each, void *ctx)
{
    struct scan s = {.rest = list, .each = each, .ctx = ctx};

    while (s.rest.len > 0)
        step(&s);
    finish(&s);
    buf_free(&s.bare);
    buf_free(&s.angle);
}
