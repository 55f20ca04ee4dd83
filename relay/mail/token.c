#include "relay/mail/token.h"

static bool
is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool
is_mark(char c)
{
    return c == '<' || c == '>' || c == '@' || c == ',' || c == ';' ||
           c == ':' || c == '\\' || c == ')' || c == ']';
}

static bool
is_word_char(char c)
{
    return !is_space(c) && !is_mark(c) && c != '(' && c != '[' && c != '"';
}

/* Comments nest (RFC 5322 section 3.2.2).  The length of the one at the front,
 * 0 when it has no end. */
static size_t
comment_len(struct slice s)
{
    size_t depth = 0;

    for (size_t i = 0; i < s.len; i++) {
        if (s.p[i] == '\\')
            i++;
        else if (s.p[i] == '(')
            depth++;
        else if (s.p[i] == ')' && --depth == 0)
            return i + 1;
    }
    return 0;
}

/* The length of what begins with one mark and ends with another, 0 when it
 * has no end. */
static size_t
quoted_len(struct slice s, char end)
{
    for (size_t i = 1; i < s.len; i++) {
        if (s.p[i] == '\\')
            i++;
        else if (s.p[i] == end)
            return i + 1;
    }
    return 0;
}

bool
mail_token_skip(struct slice *rest)
{
    while (rest->len > 0) {
        size_t len = 1;

        if (rest->p[0] == '(')
            len = comment_len(*rest);
        else if (!is_space(rest->p[0]))
            return true;
        if (len == 0)
            return false;
        *rest = slice_from(*rest, len);
    }
    return true;
}

static size_t
word_len(struct slice s)
{
    size_t n = 1;

    while (n < s.len && is_word_char(s.p[n]))
        n++;
    return n;
}

static enum mail_token_kind
measure(struct slice s, size_t *len)
{
    char c = s.p[0];

    *len = 1;
    if (is_mark(c))
        return MAIL_TOKEN_MARK;
    if (c == '"') {
        *len = quoted_len(s, '"');
        return MAIL_TOKEN_QUOTED;
    }
    if (c == '[') {
        *len = quoted_len(s, ']');
        return MAIL_TOKEN_LITERAL;
    }
    *len = word_len(s);
    return MAIL_TOKEN_WORD;
}

struct mail_token
mail_token_next(struct slice *rest)
{
    struct mail_token t = {MAIL_TOKEN_BROKEN, *rest};
    size_t len;

    if (!mail_token_skip(rest))
        return t;
    t.text = *rest;
    if (rest->len == 0) {
        t.kind = MAIL_TOKEN_END;
        return t;
    }
    t.kind = measure(*rest, &len);
    if (len == 0) {
        t.kind = MAIL_TOKEN_BROKEN;
        return t;
    }
    t.text = slice_first(*rest, len);
    *rest = slice_from(*rest, len);
    return t;
}

bool
mail_token_is_mark(const struct mail_token *t, char mark)
{
    return t->kind == MAIL_TOKEN_MARK && t->text.p[0] == mark;
}
