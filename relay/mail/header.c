#include "relay/mail/header.h"

#include "relay/base/own.h"
#include "relay/base/text.h"
#include "relay/mail/date.h"

enum {
    LINE_SOFT_MAX = 76,    /* leaves room for the ';' */
    CLIENT_TEXT_MAX = 255, /* octets of a name in the trace field */
    CLAUSE_MAX = 512,
};

/* Where in a line the scanner stands; the value of `field`. */
enum place {
    LINE_START, /* which the line before it may go on across */
    LINE_START_CR,
    NAME,
    NAME_BLANK, /* between a name and its colon */
    VALUE,
    SKIPPED, /* the "From " line of a mailbox file */
};

static void
settle_tls_required(struct mail_header_scan *s, struct slice value)
{
    /* A value that was cut has something behind it that we don't know. */
    if (!slice_is_nocase(value, "No") || s->line_len == sizeof(s->line))
        s->tls_required_other = true;
    s->tls_required_no = !s->tls_required_other;
}

static void
settle_message_id(struct mail_header_scan *s, struct slice value)
{
    scoped(buf_free) struct buf clean = {0};

    if (!s->has_message_id && value.len > 0) {
        text_clean(value, MAIL_HEADER_ID_MAX, &clean);
        memcpy(s->message_id, clean.p, clean.len);
        s->message_id[clean.len] = '\0';
    }
    s->has_message_id = true;
}

/* Takes account of the field that is gathered in `line`, unfolded. */
static void
settle(struct mail_header_scan *s)
{
    struct slice value = {s->line, s->line_len};
    struct slice name = slice_cut(&value, ':');
    bool has_colon = name.len < s->line_len;

    name = slice_trim(name);
    value = slice_trim(value);
    if (!has_colon)
        return;
    if (slice_is_nocase(name, "Received"))
        s->received++;
    else if (slice_is_nocase(name, "Bcc") ||
             slice_is_nocase(name, "Resent-Bcc"))
        s->has_bcc = true;
    else if (slice_is_nocase(name, "DKIM-Signature"))
        s->is_signed = true;
    else if (slice_is_nocase(name, "Message-ID"))
        settle_message_id(s, value);
    else if (slice_is_nocase(name, "Traceparent") && s->trace_id[0] == '\0')
        (void)mail_trace_id(value, s->trace_id);
    else if (slice_is_nocase(name, "TLS-Required"))
        settle_tls_required(s, value);
}

static void
finish(struct mail_header_scan *s)
{
    settle(s);
    s->ended = true;
}

static void
cut(struct mail_header_scan *s)
{
    finish(s);
    s->is_cut = true;
    s->section = 0;
}

static void
add_char(struct mail_header_scan *s, char c)
{
    if (s->line_len < sizeof(s->line))
        s->line[s->line_len++] = c;
}

static bool
is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* ftext of RFC 5322 section 3.6.8 */
static bool
is_name_char(char c)
{
    return c > ' ' && c < 0x7F && c != ':';
}

/* Only the first line of all may be one of these, and is no field. */
static bool
is_mailbox_line(const struct mail_header_scan *s, char c)
{
    struct slice line = {s->line, s->line_len};

    return c == ' ' && s->seen == line.len + 1 &&
           (slice_is(line, "From") || slice_is(line, ">From"));
}

static enum place
in_name(struct mail_header_scan *s, char c)
{
    if (is_mailbox_line(s, c)) {
        s->line_len = 0;
        return SKIPPED;
    }
    if ((c == ':' || is_blank(c)) && s->line_len > 0) {
        add_char(s, c);
        return c == ':' ? VALUE : NAME_BLANK;
    }
    /* A line that is no field belongs to the body already. */
    if (!is_name_char(c) || s->field == NAME_BLANK)
        s->ended = true;
    else
        add_char(s, c);
    return NAME;
}

static enum place
in_value(struct mail_header_scan *s, char c)
{
    if (c != '\n') {
        add_char(s, c);
        return VALUE;
    }
    if (s->line_len > 0 && s->line[s->line_len - 1] == '\r')
        s->line_len--;
    return LINE_START;
}

static enum place
at_line_start(struct mail_header_scan *s, char c)
{
    if (c == '\r' && s->field == LINE_START)
        return LINE_START_CR;
    if (is_blank(c) && s->field == LINE_START && s->line_len > 0)
        return in_value(s, c);
    settle(s);
    s->line_len = 0;
    /* The blank line, or a bare CR, which begins no field either. */
    if (c == '\n' || s->field == LINE_START_CR) {
        s->ended = true;
        return LINE_START;
    }
    return in_name(s, c);
}

static enum place
step(struct mail_header_scan *s, char c)
{
    switch ((enum place)s->field) {
    case LINE_START:
    case LINE_START_CR:
        return at_line_start(s, c);
    case NAME:
    case NAME_BLANK:
        return in_name(s, c);
    case VALUE:
        return in_value(s, c);
    case SKIPPED:
        return c == '\n' ? LINE_START : SKIPPED;
    }
    return LINE_START;
}

void
mail_header_scan_feed(struct mail_header_scan *s, struct slice bytes)
{
    for (size_t i = 0; i < bytes.len && !s->ended; i++) {
        s->seen++;
        s->field = (unsigned char)step(s, bytes.p[i]);
        if (!s->ended && s->field == LINE_START)
            s->section = s->seen;
        if (!s->ended && s->seen == MAIL_HEADER_BUDGET)
            cut(s);
    }
}

void
mail_header_scan_end(struct mail_header_scan *s)
{
    if (!s->ended)
        finish(s);
}

/* A trace field that is being written; `column` is where its line stands. */
struct folding {
    struct buf *out;
    size_t column;
};

static void
add_token(struct folding *f, struct slice token)
{
    if (f->column + 1 + token.len > LINE_SOFT_MAX) {
        buf_add_text(f->out, "\r\n\t");
        f->column = 1;
    } else {
        buf_add_byte(f->out, ' ');
        f->column++;
    }
    buf_add(f->out, token);
    f->column += token.len;
}

static bool
is_domain_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c >= '0' && c <= '9') || (c != '\0' && strchr("-._:[]", c));
}

/* What a client called itself: RFC 5321 section 4.1.3 needs no more. */
static void
add_client_name(struct buf *out, const char *name)
{
    size_t len = strnlen(name, CLIENT_TEXT_MAX);

    for (size_t i = 0; i < len; i++)
        buf_add_byte(out, is_domain_char(name[i]) ? name[i] : '?');
}

static void
add_from(struct folding *f, const struct mail_received *r)
{
    scoped(buf_free) struct buf token = {0};
    bool is_v6 = strchr(r->client_ip, ':');

    buf_add_text(&token, "from ");
    add_client_name(&token, r->helo && r->helo[0] ? r->helo : "unknown");
    add_token(f, buf_slice(&token));
    buf_clear(&token);
    buf_printf(&token, "([%s%s])", is_v6 ? "IPv6:" : "", r->client_ip);
    add_token(f, buf_slice(&token));
}

static void
add_clause(struct folding *f, const char *name, const char *value)
{
    scoped(buf_free) struct buf token = {0};

    buf_printf(&token, "%s ", name);
    text_clean(slice_of(value), CLAUSE_MAX, &token);
    add_token(f, buf_slice(&token));
}

static void
add_tls(struct folding *f, const struct mail_received *r)
{
    scoped(buf_free) struct buf token = {0};

    buf_printf(&token, "(%s", r->tls_version);
    if (r->tls_cipher)
        buf_printf(&token, " %s", r->tls_cipher);
    buf_add_byte(&token, ')');
    add_token(f, buf_slice(&token));
}

static bool
is_comment_char(char c)
{
    return c >= ' ' && c <= '~' && c != '(' && c != ')' && c != '\\';
}

static void
add_tls_client(struct folding *f, const char *client)
{
    scoped(buf_free) struct buf token = {0};

    buf_add_text(&token, "(client certificate ");
    for (; *client != '\0'; client++)
        buf_add_byte(&token, is_comment_char(*client) ? *client : '?');
    buf_add_byte(&token, ')');
    add_token(f, buf_slice(&token));
}

static void
add_rcpt(struct folding *f, const char *rcpt)
{
    scoped(buf_free) struct buf token = {0};

    buf_add_text(&token, "for <");
    text_clean(slice_of(rcpt), CLAUSE_MAX, &token);
    buf_add_byte(&token, '>');
    add_token(f, buf_slice(&token));
}

void
mail_header_received(struct buf *out, const struct mail_received *r)
{
    static const char name[] = "Received:";
    struct folding f = {out, sizeof(name) - 1};
    char date[MAIL_DATE_SIZE];

    buf_add_text(out, name);
    if (r->client_ip)
        add_from(&f, r);
    add_clause(&f, "by", r->by);
    add_clause(&f, "with", r->with);
    if (r->tls_version)
        add_tls(&f, r);
    if (r->tls_client)
        add_tls_client(&f, r->tls_client);
    add_clause(&f, "id", r->id);
    if (r->rcpt)
        add_rcpt(&f, r->rcpt);
    buf_add_byte(out, ';');
    f.column++;
    add_token(&f, slice_of(mail_date_header(r->unix_ms, date)));
    buf_add_text(out, "\r\n");
}
