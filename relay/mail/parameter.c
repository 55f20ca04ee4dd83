#include "relay/mail/parameter.h"

#include "relay/base/own.h"
#include "relay/base/text.h"

enum { PLAIN_MAX = 55, PARAMETER_LINE = 76 };

static bool
is_plain(struct slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.p[i] < ' ' || s.p[i] > '~')
            return false;
    return s.len <= PLAIN_MAX;
}

static void
add_plain(const char *name, struct slice value, struct buf *out)
{
    buf_printf(out, ";\r\n\t%s=\"", name);
    for (size_t i = 0; i < value.len; i++) {
        if (value.p[i] == '"' || value.p[i] == '\\')
            buf_add_byte(out, '\\');
        buf_add_byte(out, value.p[i]);
    }
    buf_add_byte(out, '"');
}

/* attribute-char of RFC 2231 section 7. */
static bool
is_attribute_char(char c)
{
    return c > ' ' && c <= '~' && !strchr("*'%()<>@,;:\\\"/[]?=", c);
}

static void
add_character(struct slice s, struct buf *out)
{
    for (size_t i = 0; i < s.len; i++)
        if (is_attribute_char(s.p[i]))
            buf_add_byte(out, s.p[i]);
        else
            buf_printf(out, "%%%02X", (unsigned char)s.p[i]);
}

/* Whole characters, as many as fit the line. */
static struct slice
add_section(const char *name, unsigned number, struct slice value,
            struct buf *out)
{
    scoped(buf_free) struct buf section = {0};

    buf_printf(&section, "\t%s*%u*=%s", name, number,
               number == 0 ? "utf-8''" : "");
    while (value.len > 0) {
        scoped(buf_free) struct buf one = {0};
        uint32_t ignored;
        size_t step = text_next(value, &ignored);

        if (step == 0)
            step = 1;
        add_character(slice_first(value, step), &one);
        if (section.len + one.len > PARAMETER_LINE)
            break;
        buf_add(&section, buf_slice(&one));
        value = slice_from(value, step);
    }
    buf_add_text(out, ";\r\n");
    buf_add(out, buf_slice(&section));
    return value;
}

void
mail_parameter_add(const char *name, struct slice value, struct buf *out)
{
    unsigned number = 0;

    if (is_plain(value)) {
        add_plain(name, value, out);
        return;
    }
    do
        value = add_section(name, number++, value, out);
    while (value.len > 0);
}
