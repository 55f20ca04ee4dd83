#include "relay/mail/compose.h"

#include "relay/base/base64.h"

#include <strings.h>

enum {
    FIELD_NAME_MAX = 70, /* octets of a field's name */
    VALUE_MAX = 200,     /* of a type or an identifier */
    PIECE = 4096,        /* characters of base64 looked at together */
};

/* RFC 5322 section 3.6.8. */
static bool
is_field_name(const char *name)
{
    size_t len = strlen(name);

    for (size_t i = 0; i < len; i++)
        if (name[i] <= ' ' || name[i] > '~' || name[i] == ':')
            return false;
    return len > 0 && len <= FIELD_NAME_MAX;
}

bool
mail_compose_is_field(const char *name)
{
    static const char *const taken[] = {
        "From",
        "To",
        "Cc",
        "Bcc",
        "Resent-Bcc",
        "Reply-To",
        "Subject",
        "MIME-Version",
        "Received",
        "Return-Path",
        "DKIM-Signature",
        "Delivered-To",
        "Authentication-Results",
    };

    if (!is_field_name(name) || strncasecmp(name, "Content-", 8) == 0 ||
        strncasecmp(name, "ARC-", 4) == 0)
        return false;
    for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++)
        if (strcasecmp(name, taken[i]) == 0)
            return false;
    return true;
}

/* RFC 2045 section 5.1. */
static size_t
token_length(const char *text)
{
    size_t n = 0;

    while (text[n] > ' ' && text[n] <= '~' &&
           !strchr("()<>@,;:\\\"/[]?=", text[n]))
        n++;
    return n;
}

bool
mail_compose_is_type(const char *type)
{
    size_t first = token_length(type), second;

    if (first == 0 || type[first] != '/' || strlen(type) > VALUE_MAX ||
        strncasecmp(type, "multipart/", 10) == 0 ||
        strncasecmp(type, "message/", 8) == 0)
        return false;
    second = token_length(type + first + 1);
    type += first + 1 + second;
    if (second == 0 || (*type && *type != ';'))
        return false;
    for (; *type; type++)
        if (*type < ' ' || *type > '~')
            return false;
    return true;
}

bool
mail_compose_is_content_id(const char *id)
{
    size_t len = strlen(id);

    for (size_t i = 0; i < len; i++)
        if (id[i] <= ' ' || id[i] > '~' || strchr("<>()\\\",;:[]", id[i]))
            return false;
    return len > 0 && len <= VALUE_MAX;
}

/* Padding ends a text: before its last piece there may be none. */
bool
mail_compose_is_base64(struct slice text)
{
    bool ok = true;

    while (ok && text.len > 0) {
        struct buf octets scoped(buf_free) = {0};
        struct slice piece = slice_first(text, PIECE);

        text = slice_from(text, piece.len);
        ok = base64_read(piece, &octets) &&
             (text.len == 0 || piece.p[piece.len - 1] != '=');
    }
    return ok;
}
