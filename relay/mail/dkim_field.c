#include "relay/mail/dkim_inside.h"

static bool
is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static bool
is_space(char c)
{
    return is_blank(c) || c == '\r' || c == '\n';
}

/* One field with its folded lines. */
static size_t
field_len(struct slice header)
{
    size_t n = 0;

    do {
        const char *end = memchr(header.p + n, '\n', header.len - n);

        n = end ? (size_t)(end - header.p) + 1 : header.len;
    } while (n < header.len && is_blank(header.p[n]));
    return n;
}

bool
mail_dkim_field_cut(struct slice *header, struct mail_dkim_field *out)
{
    size_t len;

    if (header->len == 0 || header->p[0] == '\r' || header->p[0] == '\n')
        return false;
    len = field_len(*header);
    out->value = slice_first(*header, len);
    out->name = slice_trim(slice_cut(&out->value, ':'));
    *header = slice_from(*header, len);
    return true;
}

void
mail_dkim_field_relaxed(const char *name, struct slice value, struct buf *out)
{
    bool has_space = false, has_text = false;

    for (; *name; name++)
        buf_add_byte(out, *name >= 'A' && *name <= 'Z'
                              ? (char)(*name - 'A' + 'a')
                              : *name);
    buf_add_byte(out, ':');
    for (size_t i = 0; i < value.len; i++) {
        char c = value.p[i];

        if (c == '\r' || c == '\n')
            continue;
        if (is_blank(c)) {
            has_space = true;
            continue;
        }
        if (has_space && has_text)
            buf_add_byte(out, ' ');
        has_space = false;
        has_text = true;
        buf_add_byte(out, c);
    }
}

struct slice
mail_dkim_bare(struct slice s)
{
    while (s.len > 0 && is_space(s.p[0]))
        s = slice_from(s, 1);
    while (s.len > 0 && is_space(s.p[s.len - 1]))
        s.len--;
    return s;
}

bool
mail_dkim_tag(struct slice list, const char *name, struct slice *out)
{
    while (list.len > 0) {
        struct slice value = slice_cut(&list, ';');
        struct slice tag = slice_cut(&value, '=');

        if (slice_is(mail_dkim_bare(tag), name)) {
            *out = mail_dkim_bare(value);
            return true;
        }
    }
    return false;
}
