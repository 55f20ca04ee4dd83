#include "relay/mail/word.h"

#include "relay/base/base64.h"
#include "relay/base/text.h"

enum {
    AROUND = 12,     /* of a word, without its text */
    LEAST = 24,      /* room that a word with any character has */
    TOKEN_MAX = 900, /* RFC 5322 section 2.1.1: a line has 998 at most */
    QUOTED_MAX = 60,
};

size_t
mail_word_column(const struct buf *out)
{
    const char *lf = out->len ? memrchr(out->p, '\n', out->len) : NULL;

    return lf ? out->len - (size_t)(lf - out->p) - 1 : out->len;
}

/* --- encoded words --- */

/* RFC 2047 section 5, rule 3: what may stand in a word in a phrase. */
static bool
is_plain_in_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c >= '0' && c <= '9') || (c && strchr("!*+-/ ", c));
}

static size_t
q_length(struct slice s)
{
    size_t n = 0;

    for (size_t i = 0; i < s.len; i++)
        n += is_plain_in_word(s.p[i]) ? 1 : 3;
    return n;
}

static void
add_q(struct slice s, struct buf *out)
{
    for (size_t i = 0; i < s.len; i++)
        if (!is_plain_in_word(s.p[i]))
            buf_printf(out, "=%02X", (unsigned char)s.p[i]);
        else
            buf_add_byte(out, s.p[i] == ' ' ? '_' : s.p[i]);
}

static size_t
b_length(size_t octets)
{
    return (octets + 2) / 3 * 4;
}

/* The octets of as many whole characters as fit (RFC 2047 section 5). */
static size_t
fit(struct slice text, bool is_q, size_t room)
{
    size_t n = 0, length = 0;

    while (n < text.len) {
        struct slice rest = slice_from(text, n);
        uint32_t ignored;
        size_t step = text_next(rest, &ignored);

        if (step == 0)
            step = 1;
        length = is_q ? length + q_length(slice_first(rest, step))
                      : b_length(n + step);
        if (length > room)
            break;
        n += step;
    }
    return n;
}

static void
add_words(struct slice text, struct buf *out)
{
    /* Where most of it can be read as it stands, it should be. */
    bool is_q = q_length(text) <= 2 * text.len;

    while (text.len > 0) {
        size_t column = mail_word_column(out);
        size_t room = column < MAIL_WORD_LINE ? MAIL_WORD_LINE - column : 0;
        struct slice part;

        if (room < AROUND + LEAST) {
            buf_add_text(out, "\r\n ");
            room = MAIL_WORD_MAX;
        }
        if (room > MAIL_WORD_MAX)
            room = MAIL_WORD_MAX;
        part = slice_first(text, fit(text, is_q, room - AROUND));
        text = slice_from(text, part.len);
        buf_printf(out, "=?utf-8?%c?", is_q ? 'q' : 'b');
        if (is_q)
            add_q(part, out);
        else
            base64_add(part, out);
        buf_add_text(out, text.len > 0 ? "?=\r\n " : "?=");
    }
}

/* --- plain text --- */

static bool
has_only(struct slice s, bool (*may)(char c))
{
    for (size_t i = 0; i < s.len; i++)
        if (!may(s.p[i]))
            return false;
    return true;
}

static bool
is_printable(char c)
{
    return c >= ' ' && c <= '~';
}

/* RFC 5322 section 3.2.3, and spaces between atoms. */
static bool
is_atoms(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c >= '0' && c <= '9') || (c && strchr("!#$%&'*+-/=?^_`{|}~ ", c));
}

static bool
has_blank_end(struct slice s)
{
    return s.len > 0 && (s.p[0] == ' ' || s.p[s.len - 1] == ' ');
}

static bool
looks_encoded(struct slice s)
{
    return s.len > 1 && memmem(s.p, s.len, "=?", 2);
}

/* Some spaces and the word behind them. */
static struct slice
next_token(struct slice *rest)
{
    size_t n = 0;
    struct slice token;

    while (n < rest->len && rest->p[n] == ' ')
        n++;
    while (n < rest->len && rest->p[n] != ' ')
        n++;
    token = slice_first(*rest, n);
    *rest = slice_from(*rest, n);
    return token;
}

static bool
has_long_token(struct slice text)
{
    while (text.len > 0)
        if (next_token(&text).len > TOKEN_MAX)
            return true;
    return false;
}

void
mail_word_text(struct slice text, struct buf *out)
{
    bool is_first = true;

    if (!has_only(text, is_printable) || has_blank_end(text) ||
        looks_encoded(text) || has_long_token(text)) {
        add_words(text, out);
        return;
    }
    while (text.len > 0) {
        struct slice token = next_token(&text);

        /* A fold keeps the white space behind it. */
        if (!is_first && mail_word_column(out) + token.len > MAIL_WORD_LINE)
            buf_add_text(out, "\r\n");
        buf_add(out, token);
        is_first = false;
    }
}

static void
add_quoted(struct slice s, struct buf *out)
{
    buf_add_byte(out, '"');
    for (size_t i = 0; i < s.len; i++) {
        if (s.p[i] == '"' || s.p[i] == '\\')
            buf_add_byte(out, '\\');
        buf_add_byte(out, s.p[i]);
    }
    buf_add_byte(out, '"');
}

void
mail_word_phrase(struct slice name, struct buf *out)
{
    if (!has_only(name, is_printable) || looks_encoded(name) ||
        name.len > QUOTED_MAX)
        add_words(name, out);
    else if (has_only(name, is_atoms) && !has_blank_end(name))
        buf_add(out, name);
    else
        add_quoted(name, out);
}
