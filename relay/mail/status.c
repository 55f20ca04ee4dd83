#include "relay/mail/status.h"

#include "relay/base/own.h"
#include "relay/base/text.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

struct enhanced {
    int klass, subject, detail;
};

/* One to three digits (RFC 3463 section 2). */
static bool
parse_part(struct slice text, int *out)
{
    unsigned long long number;

    if (text.len > 3 || !slice_number(text, 999, &number))
        return false;
    *out = (int)number;
    return true;
}

static bool
parse_enhanced(struct slice text, struct enhanced *out)
{
    struct slice klass = slice_cut(&text, '.');
    struct slice subject = slice_cut(&text, '.');
    struct enhanced e;

    if (klass.len != 1 || !parse_part(klass, &e.klass) ||
        (e.klass != 2 && e.klass != 4 && e.klass != 5) ||
        !parse_part(subject, &e.subject) || !parse_part(text, &e.detail))
        return false;
    *out = e;
    return true;
}

/* Splits the enhanced code off the front of a line.  RFC 2034 section 4 wants
 * it in every line, and that its class is the first digit of the code. */
static bool
cut_enhanced(struct slice *line, int code, struct enhanced *out)
{
    struct slice rest = *line;
    struct enhanced e;

    if (!parse_enhanced(slice_cut(&rest, ' '), &e) || e.klass != code / 100)
        return false;
    *line = rest;
    *out = e;
    return true;
}

static void
keep_text(struct mail_status *s, const struct buf *lines)
{
    scoped(buf_free) struct buf clean = {0};

    text_clean(slice_trim(buf_slice(lines)), MAIL_STATUS_TEXT_MAX, &clean);
    if (clean.len)
        memcpy(s->text, clean.p, clean.len);
    s->text[clean.len] = '\0';
}

static void
add_line(struct buf *lines, struct slice line)
{
    if (lines->len > 0)
        buf_add_byte(lines, ' ');
    for (size_t i = 0; i < line.len; i++)
        buf_add_byte(lines, line.p[i] == '\t' ? ' ' : line.p[i]);
}

void
mail_status_set(struct mail_status *s, int code, const char *enhanced,
                const char *fmt, ...)
{
    scoped(buf_free) struct buf lines = {0};
    char text[2 * MAIL_STATUS_TEXT_MAX];
    struct slice rest;
    struct enhanced e = {0};
    va_list ap;

    assert(code >= 200 && code <= 599);
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    for (rest = slice_of(text); rest.len > 0;)
        add_line(&lines, slice_cut(&rest, '\n'));
    *s = (struct mail_status){.code = code};
    keep_text(s, &lines);
    if (!enhanced || !parse_enhanced(slice_of(enhanced), &e))
        return;
    s->klass = e.klass, s->subject = e.subject, s->detail = e.detail;
}

void
mail_status_from_reply(struct mail_status *s, int code, struct slice text)
{
    scoped(buf_free) struct buf lines = {0};
    struct enhanced first = {0}, again;

    assert(code >= 200 && code <= 599);
    *s = (struct mail_status){.is_reply = true, .code = code};
    for (bool is_first = true; text.len > 0; is_first = false) {
        struct slice line = slice_cut(&text, '\n');
        struct slice bare = line;

        if (is_first && cut_enhanced(&line, code, &first))
            bare = line;
        else if (first.klass && cut_enhanced(&bare, code, &again) &&
                 memcmp(&again, &first, sizeof(first)) == 0)
            line = bare;
        add_line(&lines, line);
    }
    s->klass = first.klass, s->subject = first.subject;
    s->detail = first.detail;
    keep_text(s, &lines);
}

bool
mail_status_is_success(const struct mail_status *s)
{
    return s->code / 100 == 2;
}

bool
mail_status_is_transient(const struct mail_status *s)
{
    return s->code / 100 == 4;
}

bool
mail_status_is_permanent(const struct mail_status *s)
{
    return s->code / 100 == 5;
}

bool
mail_status_is_throttling(const struct mail_status *s)
{
    if (!s->is_reply || !mail_status_is_transient(s))
        return false;
    if (s->code == 421 || s->code == 454)
        return true;
    return s->klass == 4 &&
           (s->subject == 7 || (s->subject == 3 && s->detail == 2) ||
            (s->subject == 4 && s->detail == 5));
}

const char *
mail_status_enhanced(const struct mail_status *s, char out[16])
{
    if (s->klass)
        (void)snprintf(out, 16, "%u.%u.%u", (unsigned)s->klass % 10,
                       (unsigned)s->subject % 1000, (unsigned)s->detail % 1000);
    else
        (void)snprintf(out, 16, "%u.0.0", (unsigned)s->code / 100 % 10);
    return out;
}
