#include "relay/mail/mime_type.h"

#include "relay/mail/token.h"

static bool
is_end(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == ';' ||
           c == '"' || c == '(';
}

static struct slice
cut_word(struct slice *rest, char stop)
{
    struct slice word = slice_first(*rest, 0);

    while (rest->len > 0 && !is_end(rest->p[0]) && rest->p[0] != stop) {
        word.len++;
        *rest = slice_from(*rest, 1);
    }
    return word;
}

/* Appends up to `max` octets of what stands between quotes; false: no end, or
 * too long. */
static bool
cut_quoted(struct slice *rest, char *out, size_t max, size_t *len)
{
    for (size_t i = 1; i < rest->len; i++) {
        char c = rest->p[i];

        if (c == '"') {
            *rest = slice_from(*rest, i + 1);
            return true;
        }
        if (c == '\\' && i + 1 < rest->len)
            c = rest->p[++i];
        if (c == '\r' || c == '\n')
            continue; /* a fold */
        if (*len == max)
            return false;
        out[(*len)++] = c;
    }
    return false;
}

/* The value of a parameter; false when it is not one, or longer than any
 * boundary. */
static bool
cut_value(struct slice *rest, struct mail_mime_type *out)
{
    struct slice word;

    out->boundary_len = 0;
    if (rest->len > 0 && rest->p[0] == '"')
        return cut_quoted(rest, out->boundary, sizeof(out->boundary),
                          &out->boundary_len);
    word = cut_word(rest, ';');
    if (word.len > sizeof(out->boundary))
        return false;
    memcpy(out->boundary, word.p, word.len);
    out->boundary_len = word.len;
    return true;
}

/* Moves behind the next ';'; false: there are no more parameters. */
static bool
next_param(struct slice *rest)
{
    return mail_token_skip(rest) && rest->len > 0 && rest->p[0] == ';' &&
           (*rest = slice_from(*rest, 1), mail_token_skip(rest)) &&
           rest->len > 0;
}

/* A space at the end of a boundary can't be told from padding (RFC 2046 section
 * 5.1.1). */
static bool
is_usable(const struct mail_mime_type *t)
{
    return t->boundary_len > 0 && t->boundary[t->boundary_len - 1] != ' ' &&
           t->boundary[t->boundary_len - 1] != '\t';
}

static bool
find_boundary(struct slice rest, struct mail_mime_type *out)
{
    while (next_param(&rest)) {
        struct slice name = cut_word(&rest, '=');

        if (name.len == 0 && rest.len > 0 && rest.p[0] == ';')
            continue;
        if (!mail_token_skip(&rest) || rest.len == 0 || rest.p[0] != '=')
            return false;
        rest = slice_from(rest, 1);
        if (!mail_token_skip(&rest))
            return false;
        if (slice_is_nocase(name, "boundary"))
            return cut_value(&rest, out) && is_usable(out);
        if (!cut_value(&rest, out) && rest.len > 0 && rest.p[0] == '"')
            return false;
    }
    return false;
}

/* RFC 2045 section 6.4 forbids to encode any but a message/global, of which RFC
 * 6532 section 3.7 allows it. */
static enum mail_mime_kind
kind_of_message(struct slice sub)
{
    if (slice_is_nocase(sub, "rfc822"))
        return MAIL_MIME_MESSAGE;
    return slice_starts_nocase(sub, "global") ? MAIL_MIME_OTHER
                                              : MAIL_MIME_OPAQUE;
}

void
mail_mime_type_parse(struct slice value, struct mail_mime_type *out)
{
    struct slice sub, main;

    *out = (struct mail_mime_type){.kind = MAIL_MIME_OTHER};
    (void)mail_token_skip(&value);
    main = cut_word(&value, '/');
    value = slice_from(value, value.len > 0 && value.p[0] == '/');
    sub = cut_word(&value, ';');
    if (slice_is_nocase(main, "text")) {
        out->kind = MAIL_MIME_TEXT;
    } else if (slice_is_nocase(main, "message")) {
        out->kind = kind_of_message(sub);
    } else if (slice_is_nocase(main, "multipart")) {
        out->is_signed = slice_is_nocase(sub, "signed");
        out->is_digest = slice_is_nocase(sub, "digest");
        out->kind =
            find_boundary(value, out) ? MAIL_MIME_MULTIPART : MAIL_MIME_OPAQUE;
    }
}
