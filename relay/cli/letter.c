#include "relay/cli/letter.h"

#include "relay/mail/mailbox.h"

/* --- lines --- */

/* One line without its end; LF, CRLF, CR, and CRs before an LF end it. */
static struct slice
cut_line(struct slice *rest)
{
    struct slice line = *rest;
    size_t n = 0, end;

    while (n < rest->len && rest->p[n] != '\n' && rest->p[n] != '\r')
        n++;
    for (end = n; end < rest->len && rest->p[end] == '\r';)
        end++;
    if (end < rest->len && rest->p[end] == '\n')
        end++;
    else if (end > n)
        end = n + 1; /* a CR alone */
    *rest = slice_from(*rest, end);
    return slice_first(line, n);
}

void
cli_letter_lines(struct slice in, bool dots, struct buf *out)
{
    while (in.len > 0) {
        struct slice line = cut_line(&in);

        if (!dots && slice_is(line, "."))
            return;
        buf_add(out, line);
        buf_add_text(out, "\r\n");
    }
}

bool
cli_letter_has_8bit(struct slice in)
{
    for (size_t i = 0; i < in.len; i++)
        if ((unsigned char)in.p[i] > 127)
            return true;
    return false;
}

/* --- fields --- */

static bool
is_name(char c)
{
    return c > ' ' && c < 127 && c != ':';
}

/* The length of the field name at the start of `in`; 0: there is none. */
static size_t
name_len(struct slice in)
{
    size_t n = 0, colon;

    while (n < in.len && is_name(in.p[n]))
        n++;
    for (colon = n;
         colon < in.len && (in.p[colon] == ' ' || in.p[colon] == '\t');)
        colon++;
    return n > 0 && colon < in.len && in.p[colon] == ':' ? n : 0;
}

/* The next field with all its folded lines and its line end; empty: the header
 * section is over. */
static struct slice
cut_field(struct slice *rest)
{
    struct slice field = *rest;
    size_t n = 0;

    if (name_len(*rest) == 0)
        return (struct slice){0};
    do {
        const char *lf = memchr(rest->p + n, '\n', rest->len - n);

        n = lf ? (size_t)(lf - rest->p) + 1 : rest->len;
    } while (n < rest->len && (rest->p[n] == ' ' || rest->p[n] == '\t'));
    *rest = slice_from(*rest, n);
    return slice_first(field, n);
}

static struct slice
value_of(struct slice field)
{
    (void)slice_cut(&field, ':');
    return field;
}

static bool
is_field(struct slice field, const char *name)
{
    return slice_is_nocase(slice_first(field, name_len(field)), name);
}

static bool
is_one_of(struct slice field, const char *const *names)
{
    for (; *names; names++)
        if (is_field(field, *names))
            return true;
    return false;
}

static const char *const resent[] = {"Resent-To", "Resent-Cc", "Resent-Bcc",
                                     NULL};
static const char *const plain[] = {"To", "Cc", "Bcc", NULL};
static const char *const blind[] = {"Bcc", "Resent-Bcc", NULL};

static bool
has_field(struct slice in, const char *const *names)
{
    struct slice field;

    while ((field = cut_field(&in)).len > 0)
        if (is_one_of(field, names))
            return true;
    return false;
}

/* Quoted when it has to be (RFC 5322 section 3.2.4). */
static void
add_phrase(const char *name, struct buf *out)
{
    buf_add_byte(out, '"');
    for (; *name; name++) {
        if (*name == '"' || *name == '\\')
            buf_add_byte(out, '\\');
        if ((unsigned char)*name >= ' ' && *name != 127)
            buf_add_byte(out, *name);
    }
    buf_add_byte(out, '"');
}

static void
add_from(const struct cli_letter_wish *wish, struct buf *out)
{
    buf_add_text(out, "From: ");
    if (wish->name && *wish->name) {
        add_phrase(wish->name, out);
        buf_printf(out, " <%s>\r\n", wish->from);
    } else {
        buf_printf(out, "%s\r\n", wish->from);
    }
}

bool
cli_letter_list(struct slice list, cli_letter_fn *each, void *ctx,
                struct err *err)
{
    struct mail_mailbox_scan scan = {.rest = list};
    struct mail_mailbox box;

    while (mail_mailbox_next(&scan, &box))
        each(ctx, box.text);
    if (!scan.has_junk && !scan.is_broken)
        return true;
    list = slice_trim(list);
    return err_set(err, ERR_INPUT, "\"%.*s\" is no list of addresses",
                   (int)slice_first(list, 200).len, list.p);
}

bool
cli_letter_make(struct slice in, const struct cli_letter_wish *wish,
                cli_letter_fn *each, void *ctx, struct buf *out,
                struct err *err)
{
    static const char *const from[] = {"From", NULL};
    const char *const *names;
    struct slice field;

    /* The first line of a message out of a mailbox file. */
    if (in.len >= 5 && memcmp(in.p, "From ", 5) == 0)
        (void)slice_cut(&in, '\n');
    names = has_field(in, resent) ? resent : plain;
    if (!has_field(in, from) && *wish->from)
        add_from(wish, out);
    while ((field = cut_field(&in)).len > 0) {
        if (wish->take_recipients && is_one_of(field, names) &&
            !cli_letter_list(value_of(field), each, ctx, err))
            return false;
        if (!wish->take_recipients || !is_one_of(field, blind))
            buf_add(out, field);
    }
    /* What is no field begins the body, also without an empty line. */
    if (in.len == 0 || in.p[0] != '\r')
        buf_add_text(out, "\r\n");
    buf_add(out, in);
    return true;
}
