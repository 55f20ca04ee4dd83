#include "relay/mail/compose.h"

#include "relay/mail/encoder.h"
#include "relay/mail/parameter.h"
#include "relay/mail/word.h"

enum {
    BARE_LINE_MAX = 998, /* RFC 5322 section 2.1.1 */
    BASE64_LINE = 76,    /* RFC 2045 section 6.8 */
};

/* --- the header section --- */

static void
add_address(const struct mail_address *a, struct buf *out)
{
    if (mail_word_column(out) + strlen(a->text) + 3 > MAIL_WORD_LINE)
        buf_add_text(out, "\r\n");
    buf_printf(out, " <%s>", a->text);
}

static void
add_list(const char *name, const struct mail_compose_list *list,
         struct buf *out)
{
    if (list->count == 0)
        return;
    buf_printf(out, "%s:", name);
    for (size_t i = 0; i < list->count; i++) {
        const struct mail_compose_mailbox *box = &list->box[i];

        buf_add_text(out, i > 0 ? ",\r\n" : "");
        if (box->name.len > 0) {
            buf_add_byte(out, ' ');
            mail_word_phrase(box->name, out);
            add_address(&box->address, out);
        } else {
            buf_printf(out, " %s", box->address.text);
        }
    }
    buf_add_text(out, "\r\n");
}

static void
add_field(const char *name, struct slice value, struct buf *out)
{
    buf_printf(out, "%s: ", name);
    mail_word_text(value, out);
    buf_add_text(out, "\r\n");
}

static void
add_header(const struct mail_compose *c, struct buf *out)
{
    const struct mail_compose_list from = {&c->from, 1};

    if (c->date)
        add_field("Date", slice_of(c->date), out);
    add_list("From", &from, out);
    add_list("Reply-To", &c->reply_to, out);
    add_list("To", &c->to, out);
    add_list("Cc", &c->cc, out);
    if (c->has_subject)
        add_field("Subject", c->subject, out);
    if (c->message_id)
        add_field("Message-ID", slice_of(c->message_id), out);
    for (size_t i = 0; i < c->field_count; i++)
        add_field(c->fields[i].name, c->fields[i].value, out);
    buf_add_text(out, "MIME-Version: 1.0\r\n");
}

/* --- a part of text --- */

/* Ends in LF, in CRLF or in CR; *ended: it does end. */
static struct slice
next_line(struct slice *rest, bool *ended)
{
    size_t n = 0, skip;
    struct slice line;

    while (n < rest->len && rest->p[n] != '\n' && rest->p[n] != '\r')
        n++;
    line = slice_first(*rest, n);
    *ended = n < rest->len;
    skip = n + 1 < rest->len && rest->p[n] == '\r' && rest->p[n + 1] == '\n';
    *rest = slice_from(*rest, n + skip + 1);
    return line;
}

/* As it is where every server takes it, else readable where it mostly is. */
static enum mail_encoding
choose(struct slice text)
{
    size_t wide = 0, length = text.len;
    bool is_long = false, ended;

    while (text.len > 0) {
        struct slice line = next_line(&text, &ended);

        is_long |= line.len > BARE_LINE_MAX;
        for (size_t i = 0; i < line.len; i++)
            wide += (unsigned char)line.p[i] >= 0x7F || line.p[i] == '\0';
    }
    if (wide == 0 && !is_long)
        return MAIL_ENCODING_NONE;
    return wide > length / 5 ? MAIL_ENCODING_BASE64 : MAIL_ENCODING_QP;
}

static const char *
encoding_name(enum mail_encoding encoding)
{
    switch (encoding) {
    case MAIL_ENCODING_QP:
    case MAIL_ENCODING_QP_FIX:
        return "quoted-printable";
    case MAIL_ENCODING_BASE64:
        return "base64";
    case MAIL_ENCODING_NONE:
    case MAIL_ENCODING_MASK:
        break;
    }
    return "7bit";
}

/* The line end in front of a boundary belongs to the boundary: one is added
 * there, so that the text keeps its own. */
static void
add_text(const char *subtype, struct slice text, bool in_part, struct buf *out)
{
    struct mail_encoder e = {.encoding = choose(text)};
    bool ended = false;

    buf_printf(out,
               "Content-Type: text/%s; charset=utf-8\r\n"
               "Content-Transfer-Encoding: %s\r\n\r\n",
               subtype, encoding_name(e.encoding));
    while (text.len > 0) {
        struct slice line = next_line(&text, &ended);

        mail_encoder_add(&e, line, ended, out);
    }
    if (in_part || !ended)
        mail_encoder_add(&e, (struct slice){0}, true, out);
    mail_encoder_end(&e, in_part || !ended, out);
}

/* --- a part that is a file --- */

static bool
is_shown(const struct mail_compose *c, const struct mail_compose_file *f)
{
    return c->has_html && f->content_id;
}

static void
add_file(const struct mail_compose_file *f, bool is_shown_in_html,
         struct buf *out)
{
    struct slice rest = f->base64;

    buf_printf(out,
               "Content-Type: %s\r\nContent-Transfer-Encoding: base64\r\n"
               "Content-Disposition: %s",
               f->type, is_shown_in_html ? "inline" : "attachment");
    if (f->name.len > 0)
        mail_parameter_add("filename", f->name, out);
    buf_add_text(out, "\r\n");
    if (f->content_id)
        buf_printf(out, "Content-ID: <%s>\r\n", f->content_id);
    buf_add_text(out, "\r\n");
    for (; rest.len > 0; rest = slice_from(rest, BASE64_LINE)) {
        buf_add(out, slice_first(rest, BASE64_LINE));
        buf_add_text(out, "\r\n");
    }
}

/* --- how parts stand together --- */

static void
begin_multipart(const struct mail_compose *c, const char *kind,
                const char *more, struct buf *out)
{
    buf_printf(out,
               "Content-Type: multipart/%s;%s\r\n\tboundary=\"=_%c%s\"\r\n\r\n",
               kind, more, kind[0], c->boundary);
}

static void
begin_part(const struct mail_compose *c, const char *kind, struct buf *out)
{
    buf_printf(out, "--=_%c%s\r\n", kind[0], c->boundary);
}

static void
end_multipart(const struct mail_compose *c, const char *kind, struct buf *out)
{
    buf_printf(out, "--=_%c%s--\r\n", kind[0], c->boundary);
}

static size_t
count_files(const struct mail_compose *c, bool shown)
{
    size_t n = 0;

    for (size_t i = 0; i < c->file_count; i++)
        n += is_shown(c, &c->files[i]) == shown;
    return n;
}

static void
add_files(const struct mail_compose *c, bool shown, const char *kind,
          struct buf *out)
{
    for (size_t i = 0; i < c->file_count; i++) {
        if (is_shown(c, &c->files[i]) != shown)
            continue;
        begin_part(c, kind, out);
        add_file(&c->files[i], shown, out);
    }
}

static void
add_html(const struct mail_compose *c, bool in_part, struct buf *out)
{
    if (count_files(c, true) == 0) {
        add_text("html", c->html, in_part, out);
        return;
    }
    begin_multipart(c, "related", " type=\"text/html\";", out);
    begin_part(c, "related", out);
    add_text("html", c->html, true, out);
    add_files(c, true, "related", out);
    end_multipart(c, "related", out);
}

static void
add_body(const struct mail_compose *c, bool in_part, struct buf *out)
{
    if (!c->has_html) {
        add_text("plain", c->text, in_part, out);
    } else if (!c->has_text) {
        add_html(c, in_part, out);
    } else {
        begin_multipart(c, "alternative", "", out);
        begin_part(c, "alternative", out);
        add_text("plain", c->text, true, out);
        begin_part(c, "alternative", out);
        add_html(c, true, out);
        end_multipart(c, "alternative", out);
    }
}

void
mail_compose(const struct mail_compose *c, struct buf *out)
{
    add_header(c, out);
    if (count_files(c, false) == 0) {
        add_body(c, false, out);
        return;
    }
    begin_multipart(c, "mixed", "", out);
    if (c->has_text || c->has_html) {
        begin_part(c, "mixed", out);
        add_body(c, true, out);
    }
    add_files(c, false, "mixed", out);
    end_multipart(c, "mixed", out);
}
