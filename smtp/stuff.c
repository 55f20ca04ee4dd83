#include "smtp/stuff.h"

/* Where the writer stands behind `part`, which is not empty. */
static void
move_behind(struct smtp_stuff *s, struct slice part)
{
    char last = part.p[part.len - 1];
    bool has_cr =
        part.len > 1 ? part.p[part.len - 2] == '\r' : s->place == SMTP_STUFF_CR;

    if (last == '\r')
        s->place = SMTP_STUFF_CR;
    else if (last == '\n')
        s->place = has_cr ? SMTP_STUFF_START : SMTP_STUFF_BARE_LF;
    else
        s->place = SMTP_STUFF_INSIDE;
}

static bool
is_line_end(char c)
{
    return c == '\n' || c == '\r';
}

/* Runs between dots are copied whole: an attachment in base64, which has no
 * dot, costs one memchr and one memcpy. */
void
smtp_stuff_add(struct smtp_stuff *s, struct slice part, struct buf *out)
{
    const char *end = part.p + part.len;
    const char *from = part.p; /* not yet copied */
    const char *dot = part.p;

    if (part.len == 0)
        return;
    (void)buf_room(out, part.len);
    while ((dot = memchr(dot, '.', (size_t)(end - dot)))) {
        bool doubled = dot == part.p ? s->place != SMTP_STUFF_INSIDE
                                     : is_line_end(dot[-1]);

        if (doubled) {
            buf_add(out, (struct slice){from, (size_t)(dot - from)});
            buf_add_byte(out, '.');
            from = dot;
        }
        dot++;
    }
    buf_add(out, (struct slice){from, (size_t)(end - from)});
    move_behind(s, part);
}

void
smtp_stuff_end(struct smtp_stuff *s, struct buf *out)
{
    buf_add_text(out, s->place == SMTP_STUFF_START ? ".\r\n" : "\r\n.\r\n");
    s->place = SMTP_STUFF_START;
}
