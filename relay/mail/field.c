#include "relay/mail/field.h"

static bool
is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* RFC 5322 section 2.2.3: a line that begins with white space goes on. */
static size_t
folded_len(struct slice section)
{
    size_t n = 0;

    do {
        const char *end = memchr(section.p + n, '\n', section.len - n);

        n = end ? (size_t)(end - section.p) + 1 : section.len;
    } while (n < section.len && is_blank(section.p[n]));
    return n;
}

static struct slice
field_name(struct slice all)
{
    struct slice name = slice_trim(slice_cut(&all, ':'));

    for (size_t i = 0; i < name.len; i++)
        if (name.p[i] <= ' ' || name.p[i] >= 0x7F)
            return slice_first(name, 0);
    return name;
}

bool
mail_field_next(struct slice *section, struct mail_field *out)
{
    size_t len;

    if (section->len == 0)
        return false;
    len = folded_len(*section);
    out->all = out->value = slice_first(*section, len);
    *section = slice_from(*section, len);
    out->name = field_name(out->all);
    (void)slice_cut(&out->value, ':');
    return true;
}
