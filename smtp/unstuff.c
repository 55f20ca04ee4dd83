#include "smtp/unstuff.h"

static void
grow_line(struct smtp_unstuff *u, size_t n)
{
    u->line_len += n;
    if (u->line_len > SMTP_UNSTUFF_LINE_MAX) {
        u->flaws |= SMTP_UNSTUFF_LONG_LINE;
        u->line_len = SMTP_UNSTUFF_LINE_MAX + 1; /* it must not overflow */
    }
}

static const char *
find(const char *p, const char *end, char c)
{
    return p < end ? memchr(p, c, (size_t)(end - p)) : NULL;
}

/* Takes the octets from p to the next LF or to `end`, whichever comes first;
 * u->place is START, WITHIN or CR.  Returns where it stopped.  This is where a
 * relay spends its time: two searches a line, no look at single octets. */
static const char *
take_line(struct smtp_unstuff *u, const char *p, const char *end)
{
    const char *lf = find(p, end, '\n');
    const char *stop = lf ? lf : end;
    const char *cr = find(p, stop, '\r');
    bool cr_last = cr ? cr + 1 == stop : false;

    if (u->place == SMTP_UNSTUFF_CR) {
        if (lf == p)
            cr_last = true;
        else
            u->flaws |= SMTP_UNSTUFF_BARE_CR;
    }
    if (cr && cr + 1 != stop) {
        u->flaws |= SMTP_UNSTUFF_BARE_CR;
        cr_last = stop[-1] == '\r';
    }

    grow_line(u, (size_t)(stop - p) + (lf ? 1 : 0));
    if (!lf) {
        u->place = cr_last ? SMTP_UNSTUFF_CR : SMTP_UNSTUFF_WITHIN;
        return end;
    }
    if (cr_last) {
        u->place = SMTP_UNSTUFF_START;
        u->line_len = 0;
    } else {
        u->flaws |= SMTP_UNSTUFF_BARE_LF;
        u->place = SMTP_UNSTUFF_WITHIN;
    }
    return lf + 1;
}

/* One octet behind a dot at the start of a line.  True at the end of data. */
static bool
behind_dot(struct smtp_unstuff *u, struct slice *in)
{
    bool is_cr = in->p[0] == '\r';

    if (u->place == SMTP_UNSTUFF_DOT) {
        u->place = is_cr ? SMTP_UNSTUFF_DOT_CR : SMTP_UNSTUFF_WITHIN;
        if (is_cr)
            *in = slice_from(*in, 1);
        return false;
    }
    if (in->p[0] == '\n') {
        u->place = SMTP_UNSTUFF_START;
        *in = slice_from(*in, 1);
        return true;
    }
    u->flaws |= SMTP_UNSTUFF_BARE_CR;
    u->place = SMTP_UNSTUFF_WITHIN;
    return false;
}

static void
count(struct smtp_unstuff *u, struct slice piece)
{
    u->octets += piece.len;
    if (piece.len && memchr(piece.p, '\0', piece.len))
        u->flaws |= SMTP_UNSTUFF_NUL;
}

static bool
is_at_dot(const struct smtp_unstuff *u, const char *p, const char *end)
{
    return u->place == SMTP_UNSTUFF_START && p < end && *p == '.';
}

bool
smtp_unstuff_data(struct smtp_unstuff *u, struct slice *in, struct slice *piece)
{
    const char *end, *p;

    *piece = slice_first(*in, 0);
    while (in->len > 0 && u->place >= SMTP_UNSTUFF_DOT)
        if (behind_dot(u, in))
            return true;
    if (in->len == 0)
        return false;

    end = in->p + in->len;
    for (p = in->p; p < end && !is_at_dot(u, p, end);)
        p = take_line(u, p, end);
    *piece = slice_first(*in, (size_t)(p - in->p));
    count(u, *piece);
    *in = slice_from(*in, piece->len);
    if (in->len == 0)
        return false;

    u->place = SMTP_UNSTUFF_DOT;
    *in = slice_from(*in, 1);
    if (in->len < 2 || memcmp(in->p, "\r\n", 2) != 0)
        return false; /* a stuffed dot, or too little to tell */
    u->place = SMTP_UNSTUFF_START;
    *in = slice_from(*in, 2);
    return true;
}

void
smtp_unstuff_chunk(struct smtp_unstuff *u, struct slice chunk)
{
    const char *p = chunk.p;
    const char *end = chunk.len ? p + chunk.len : p;

    while (p < end)
        p = take_line(u, p, end);
    count(u, chunk);
}

bool
smtp_unstuff_chunks_end(struct smtp_unstuff *u)
{
    if (u->place == SMTP_UNSTUFF_CR)
        u->flaws |= SMTP_UNSTUFF_BARE_CR;
    return u->place != SMTP_UNSTUFF_START;
}
