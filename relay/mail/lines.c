#include "relay/mail/lines.h"

static bool
fail(const struct mail_lines *l, const char *what, struct err *err)
{
    return err_set(err, ERR_INPUT, "line %llu %s",
                   (unsigned long long)l->count + 1, what);
}

/* A part of a line, without what ends it. */
static bool
add_part(struct mail_lines *l, struct slice part, struct buf *out,
         struct err *err)
{
    if (part.len == 0)
        return true;
    if (l->has_cr || memchr(part.p, '\r', part.len))
        return fail(l, "has a CR that no LF follows", err);
    if (memchr(part.p, '\0', part.len))
        return fail(l, "has a NUL", err);
    l->length += part.len;
    if (l->length > MAIL_LINES_MAX - 2)
        return fail(l, "is too long", err);
    buf_add(out, part);
    return true;
}

static void
end_line(struct mail_lines *l, struct buf *out)
{
    buf_add_text(out, "\r\n");
    l->count++;
    l->length = 0;
    l->has_cr = false;
}

bool
mail_lines_add(struct mail_lines *l, struct slice in, struct buf *out,
               struct err *err)
{
    while (in.len > 0) {
        const char *lf = memchr(in.p, '\n', in.len);
        struct slice part = slice_first(in, lf ? (size_t)(lf - in.p) : in.len);
        bool ends_in_cr = part.len > 0 && part.p[part.len - 1] == '\r';

        in = slice_from(in, part.len + (lf != NULL));
        part.len -= ends_in_cr;
        if (!add_part(l, part, out, err))
            return false;
        if (ends_in_cr && l->has_cr)
            return fail(l, "has a CR that no LF follows", err);
        l->has_cr |= ends_in_cr;
        if (lf)
            end_line(l, out);
    }
    return true;
}

bool
mail_lines_end(struct mail_lines *l, struct buf *out, struct err *err)
{
    if (l->has_cr)
        return fail(l, "has a CR that no LF follows", err);
    if (l->length > 0)
        end_line(l, out);
    return true;
}
