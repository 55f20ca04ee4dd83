#include "relay/mail/address.h"

#include "relay/base/addr.h"
#include "relay/base/mem.h"
#include "relay/base/text.h"

static bool
is_wide(char c)
{
    return (unsigned char)c >= 0x80;
}

/* Refuses what may stand nowhere in an address, so that the grammar behind it
 * meets only printable characters. */
static bool
check_chars(struct slice text, bool utf8, struct err *err)
{
    while (text.len > 0) {
        uint32_t code;
        size_t n = text_next(text, &code);

        if (is_wide(text.p[0]) && !utf8)
            return err_set(err, ERR_INPUT, "address needs SMTPUTF8");
        if (n == 0)
            return err_set(err, ERR_INPUT, "address is not UTF-8");
        if (!text_may_show(code))
            return err_set(err, ERR_INPUT, "control character in address");
        text = slice_from(text, n);
    }
    return true;
}

/* atext of RFC 5322 section 3.2.3, widened by RFC 6531 section 3.3. */
static bool
is_atom_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c >= '0' && c <= '9') || is_wide(c) ||
           (c != '\0' && strchr("!#$%&'*+-/=?^_`{|}~", c));
}

/* Dot-string of RFC 5321 section 4.1.2; its length, 0 when there is none. */
static size_t
dot_string(struct slice s)
{
    size_t i = 0;

    while (i < s.len && is_atom_char(s.p[i])) {
        while (i < s.len && is_atom_char(s.p[i]))
            i++;
        if (i + 1 >= s.len || s.p[i] != '.' || !is_atom_char(s.p[i + 1]))
            return i;
        i++;
    }
    return 0;
}

/* Quoted-string of RFC 5321 section 4.1.2 with its quotes; `octets` is the
 * length of what it stands for. */
static size_t
quoted_string(struct slice s, size_t *octets)
{
    *octets = 0;
    for (size_t i = 1; i < s.len; i++) {
        if (s.p[i] == '"')
            return i + 1;
        if (s.p[i] == '\\' && (++i == s.len || is_wide(s.p[i])))
            return 0;
        ++*octets;
    }
    return 0;
}

static bool
local_part(struct slice text, size_t *len, struct err *err)
{
    bool is_quoted = text.len > 0 && text.p[0] == '"';
    size_t octets;

    *len = is_quoted ? quoted_string(text, &octets) : dot_string(text);
    if (!is_quoted)
        octets = *len;
    if (text.len > 0 && text.p[0] == '@')
        return err_set(err, ERR_INPUT, "address has no local part");
    if (*len == 0)
        return err_set(err, ERR_INPUT, "malformed local part");
    if (*len == text.len)
        return err_set(err, ERR_INPUT, "address has no domain");
    if (text.p[*len] != '@')
        return err_set(err, ERR_INPUT, "malformed local part");
    if (octets > MAIL_LOCAL_MAX)
        return err_set(err, ERR_INPUT, "local part too long");
    return true;
}

static bool
has_only(struct slice s, const char *set)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.p[i] == '\0' || !strchr(set, s.p[i]))
            return false;
    return true;
}

/* Address literal of RFC 5321 section 4.1.3; no other tag is in use. */
static bool
is_literal(struct slice text)
{
    struct slice inner = slice_from(text, 1);
    struct addr addr;
    struct err ignored;

    if (text.len < 2 || text.p[text.len - 1] != ']')
        return false;
    inner.len--;
    if (!slice_starts_nocase(inner, "IPv6:"))
        return has_only(inner, "0123456789.") &&
               addr_parse(inner, &addr, &ignored);
    inner = slice_from(inner, 5);
    return has_only(inner, "0123456789abcdefABCDEF:.") && inner.len > 0 &&
           memchr(inner.p, ':', inner.len) &&
           addr_parse(inner, &addr, &ignored);
}

static bool
domain_part(struct slice text, struct mail_address *out, struct err *err)
{
    out->is_literal = text.len > 0 && text.p[0] == '[';
    if (!out->is_literal)
        return mail_domain_parse(text, &out->domain, err);
    return is_literal(text) ||
           err_set(err, ERR_INPUT, "malformed address literal");
}

static bool
keep(struct slice text, size_t at, struct mail_address *out, struct err *err)
{
    if (text.p[text.len - 1] == '.')
        text.len--;
    if (text.len > MAIL_ADDRESS_MAX)
        return err_set(err, ERR_INPUT, "address too long");
    out->is_ascii = true;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.p[i];
        bool is_upper = i > at && c >= 'A' && c <= 'Z';

        out->text[i] = (char)(is_upper ? c | 0x20 : c);
        out->is_ascii = out->is_ascii && !is_wide(c);
    }
    out->at = (unsigned short)at;
    return true;
}

static bool
parse(struct slice text, bool utf8, struct mail_address *out, struct err *err)
{
    size_t at;

    if (text.len == 0)
        return err_set(err, ERR_INPUT, "empty address");
    return check_chars(text, utf8, err) && local_part(text, &at, err) &&
           domain_part(slice_from(text, at + 1), out, err) &&
           keep(text, at, out, err);
}

bool
mail_address_parse(struct slice text, bool utf8, struct mail_address *out,
                   struct err *err)
{
    *out = (struct mail_address){0};
    if (parse(text, utf8, out, err))
        return true;
    *out = (struct mail_address){0};
    return false;
}

char *
mail_address_pattern(const char *text, bool or_null, struct err *err)
{
    struct mail_address address;
    struct mail_domain domain;

    if (or_null && (text[0] == '\0' || strcmp(text, "<>") == 0))
        return mem_text("");
    if (text[0] == '@')
        return mail_domain_parse_any(slice_of(text + 1), &domain, err)
                   ? mem_printf("@%s", domain.text)
                   : NULL;
    return mail_address_parse(slice_of(text), true, &address, err)
               ? mem_text(address.text)
               : NULL;
}
