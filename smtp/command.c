#include "smtp/command.h"

/* `line` ends in LF. */
static bool
ends_in_its_only_crlf(struct slice line)
{
    return line.len >= 2 && line.p[line.len - 2] == '\r' &&
           !memchr(line.p, '\r', line.len - 2);
}

enum smtp_command_got
smtp_command_read_to(char *store, size_t room, size_t *len, struct slice *in,
                     struct slice *line)
{
    struct slice part = slice_first(*in, room - *len);
    const char *lf = part.len ? memchr(part.p, '\n', part.len) : NULL;

    if (!lf && in->len > room - *len)
        return SMTP_COMMAND_LONG;
    if (lf)
        part.len = (size_t)(lf - part.p) + 1;
    *in = slice_from(*in, part.len);

    *line = part;
    if (*len > 0 || !lf) {
        if (part.len)
            memcpy(store + *len, part.p, part.len);
        *len += part.len;
        *line = (struct slice){store, *len};
    }
    if (!lf)
        return SMTP_COMMAND_PART;

    *len = 0;
    if (!ends_in_its_only_crlf(*line))
        return SMTP_COMMAND_BARE;
    line->len -= 2;
    return SMTP_COMMAND_WHOLE;
}

enum smtp_command_got
smtp_command_read(struct smtp_command_reader *r, struct slice *in,
                  struct slice *line)
{
    return smtp_command_read_to(r->line, sizeof(r->line), &r->len, in, line);
}

static bool
has_control(struct slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.p[i] < ' ' || s.p[i] == 0x7f)
            return true;
    return false;
}

bool
smtp_command_parse(struct slice line, struct smtp_command *out)
{
    if (has_control(line))
        return false;
    out->args = line;
    out->verb = slice_cut(&out->args, ' ');
    out->args = slice_trim(out->args);
    return true;
}
