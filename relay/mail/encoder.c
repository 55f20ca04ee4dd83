#include "relay/mail/encoder.h"

#include "relay/base/base64.h"

enum {
    QP_LINE_MAX = 76,     /* RFC 2045 section 6.7, rule 5 */
    BASE64_LINE_MAX = 76, /* section 6.8 */
};

static bool
is_wide(char c)
{
    return (unsigned char)c >= 0x80;
}

static void
add_masked(struct slice s, struct buf *out)
{
    for (size_t i = 0; i < s.len; i++)
        buf_add_byte(out, is_wide(s.p[i]) ? '?' : s.p[i]);
}

static void
add_hex(char c, struct buf *out)
{
    buf_printf(out, "=%02X", (unsigned char)c);
}

static void
add_fixed(struct slice s, struct buf *out)
{
    for (size_t i = 0; i < s.len; i++)
        if (is_wide(s.p[i]))
            add_hex(s.p[i], out);
        else
            buf_add_byte(out, s.p[i]);
}

static bool
is_plain(char c)
{
    return (c >= ' ' && c < 0x7F && c != '=') || c == '\t';
}

/* Where we break a line, the rest must not look like a boundary. */
static void
add_qp_char(struct mail_encoder *e, char c, bool plain, struct buf *out)
{
    bool is_broken = e->column + (plain ? 1 : 3) > QP_LINE_MAX - 1;

    if (is_broken) {
        buf_add_text(out, "=\r\n");
        e->column = 0;
        plain = plain && c != '-';
    }
    if (plain)
        buf_add_byte(out, c);
    else
        add_hex(c, out);
    e->column += plain ? 1 : 3;
}

/* White space at the end of a line would be lost (rule 3). */
static void
add_qp(struct mail_encoder *e, struct slice s, bool ends, struct buf *out)
{
    for (size_t i = 0; i < s.len; i++) {
        bool is_last = ends && i + 1 == s.len;
        bool is_blank = s.p[i] == ' ' || s.p[i] == '\t';

        add_qp_char(e, s.p[i], is_plain(s.p[i]) && !(is_last && is_blank), out);
    }
}

static void
flush_base64(struct mail_encoder *e, struct buf *out)
{
    if (e->carried == 0)
        return;
    if (e->column == BASE64_LINE_MAX) {
        buf_add_text(out, "\r\n");
        e->column = 0;
    }
    base64_add((struct slice){e->carry, e->carried}, out);
    e->column += 4;
    e->carried = 0;
}

static void
add_base64(struct mail_encoder *e, struct slice s, struct buf *out)
{
    for (size_t i = 0; i < s.len; i++) {
        e->carry[e->carried++] = s.p[i];
        if (e->carried == sizeof(e->carry))
            flush_base64(e, out);
    }
}

static void
add_octets(struct mail_encoder *e, struct slice s, bool ends, struct buf *out)
{
    switch (e->encoding) {
    case MAIL_ENCODING_NONE:
        buf_add(out, s);
        break;
    case MAIL_ENCODING_MASK:
        add_masked(s, out);
        break;
    case MAIL_ENCODING_QP:
        add_qp(e, s, ends, out);
        break;
    case MAIL_ENCODING_QP_FIX:
        add_fixed(s, out);
        break;
    case MAIL_ENCODING_BASE64:
        add_base64(e, s, out);
        break;
    }
}

static void
add_line_end(struct mail_encoder *e, struct buf *out)
{
    if (e->encoding == MAIL_ENCODING_BASE64) {
        add_base64(e, slice_of("\r\n"), out);
        return;
    }
    buf_add_text(out, "\r\n");
    e->column = 0;
}

void
mail_encoder_add(struct mail_encoder *e, struct slice octets, bool ends,
                 struct buf *out)
{
    if (e->has_end)
        add_line_end(e, out);
    add_octets(e, octets, ends, out);
    e->has_end = ends;
}

void
mail_encoder_end(struct mail_encoder *e, bool in_part, struct buf *out)
{
    if (!in_part && e->has_end)
        add_line_end(e, out);
    if (e->encoding == MAIL_ENCODING_BASE64) {
        flush_base64(e, out);
        if (e->column > 0)
            buf_add_text(out, "\r\n");
    } else if (in_part && e->has_end) {
        buf_add_text(out, "\r\n");
    }
    *e = (struct mail_encoder){0};
}
