#include "smtp/path.h"

/* How many octets stand in front of the bracket that closes the path: a quoted
 * string may hold one of its own.  s.len when there is none. */
static size_t
find_close(struct slice s)
{
    bool quoted = false;
    size_t i;

    for (i = 0; i < s.len; i++) {
        if (quoted && s.p[i] == '\\')
            i++;
        else if (s.p[i] == '"')
            quoted = !quoted;
        else if (s.p[i] == '>' && !quoted)
            return i;
    }
    return s.len;
}

bool
smtp_path_cut(struct slice *args, const char *keyword, struct slice *path,
              struct err *err)
{
    struct slice rest;
    size_t len;

    if (!slice_starts_nocase(*args, keyword))
        return err_set(err, ERR_INPUT, "%s<address> expected", keyword);
    rest = slice_trim(slice_from(*args, strlen(keyword)));
    if (rest.len == 0 || rest.p[0] != '<')
        return err_set(err, ERR_INPUT, "the address wants angle brackets");
    rest = slice_from(rest, 1);
    len = find_close(rest);
    if (len == rest.len)
        return err_set(err, ERR_INPUT, "the address has no closing bracket");

    *path = slice_first(rest, len);
    rest = slice_from(rest, len + 1);
    if (rest.len > 0 && rest.p[0] != ' ')
        return err_set(err, ERR_INPUT, "a space is missing behind the address");
    *args = slice_trim(rest);
    return true;
}

static bool
is_host_octet(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' ||
           (unsigned char)c > 127;
}

/* Moves `s` behind one "@host" or "@[literal]". */
static bool
skip_hop(struct slice *s)
{
    struct slice rest = slice_from(*s, 1);
    const char *close;
    size_t n = 0;

    if (s->len == 0 || s->p[0] != '@')
        return false;
    if (rest.len > 0 && rest.p[0] == '[') {
        close = memchr(rest.p, ']', rest.len);
        n = close ? (size_t)(close - rest.p) + 1 : 0;
    } else {
        while (n < rest.len && is_host_octet(rest.p[n]))
            n++;
    }
    *s = slice_from(rest, n);
    return n > 0;
}

/* "@a.example,@b.example:" in front of the mailbox. */
static bool
skip_route(struct slice *path)
{
    struct slice rest = *path;

    if (rest.len == 0 || rest.p[0] != '@')
        return true;
    while (skip_hop(&rest) && rest.len > 0) {
        char mark = rest.p[0];

        rest = slice_from(rest, 1);
        if (mark == ':') {
            *path = rest;
            return true;
        }
        if (mark != ',')
            return false;
    }
    return false;
}

bool
smtp_path_parse(struct slice path, bool utf8, struct smtp_path *out,
                struct err *err)
{
    *out = (struct smtp_path){.is_null = path.len == 0};
    if (out->is_null)
        return true;
    if (!skip_route(&path))
        return err_set(err, ERR_INPUT, "malformed source route");
    out->is_postmaster = slice_is_nocase(path, "postmaster");
    return out->is_postmaster ||
           mail_address_parse(path, utf8, &out->address, err);
}
