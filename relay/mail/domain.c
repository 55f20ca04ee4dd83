#include "relay/mail/domain.h"

#include "relay/base/text.h"

#include <idn2.h>
#include <stdlib.h>

enum {
    UNICODE_MAX = 4 * MAIL_DOMAIN_MAX, /* octets of U-labels looked at */
    IDN_FLAGS = IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL,
};

static void
free_idn(uint8_t **p)
{
    idn2_free(*p);
    *p = NULL;
}

static bool
is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool
is_label_char(char c)
{
    return (c >= 'a' && c <= 'z') || is_digit(c) || c == '-' || c == '_';
}

static bool
check_label(struct slice label, struct err *err)
{
    if (label.len == 0)
        return err_set(err, ERR_INPUT, "empty label in domain name");
    if (label.len > MAIL_LABEL_MAX)
        return err_set(err, ERR_INPUT, "label of domain name too long");
    if (label.p[0] == '-' || label.p[label.len - 1] == '-')
        return err_set(err, ERR_INPUT, "hyphen at an end of a label");
    for (size_t i = 0; i < label.len; i++)
        if (!is_label_char(label.p[i]))
            return err_set(err, ERR_INPUT, "bad character in domain name");
    return true;
}

static bool
is_number(struct slice label)
{
    for (size_t i = 0; i < label.len; i++)
        if (!is_digit(label.p[i]))
            return false;
    return true;
}

/* `text` is in lower case.  A last label of digits alone is what an IP address
 * looks like, and no top-level domain (RFC 3696 section 2). */
static bool
check(struct slice text, unsigned labels_min, struct err *err)
{
    struct slice rest = text, label = {0};
    unsigned labels = 0;

    if (text.len == 0)
        return err_set(err, ERR_INPUT, "empty domain name");
    if (text.len > MAIL_DOMAIN_MAX)
        return err_set(err, ERR_INPUT, "domain name too long");
    if (text.p[text.len - 1] == '.')
        return err_set(err, ERR_INPUT, "empty label in domain name");
    while (rest.len > 0) {
        label = slice_cut(&rest, '.');
        if (!check_label(label, err))
            return false;
        labels++;
    }
    if (labels < labels_min)
        return err_set(err, ERR_INPUT, "domain name has no dot");
    if (is_number(label))
        return err_set(err, ERR_INPUT, "domain name ends in a number");
    return true;
}

static bool
is_ascii(struct slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.p[i] >= 0x80)
            return false;
    return true;
}

static bool
may_show_all(struct slice text)
{
    while (text.len > 0) {
        uint32_t code;
        size_t n = text_next(text, &code);

        if (n == 0 || !text_may_show(code))
            return false;
        text = slice_from(text, n);
    }
    return true;
}

/* Writes the A-label form of `text`, which has no NUL in it, to `out`. */
static bool
to_ascii(struct slice text, char out[MAIL_DOMAIN_MAX + 1], struct err *err)
{
    char in[UNICODE_MAX + 1];
    scoped(free_idn) uint8_t *found = NULL;
    int rc;

    if (text.len > UNICODE_MAX)
        return err_set(err, ERR_INPUT, "domain name too long");
    memcpy(in, text.p, text.len);
    in[text.len] = '\0';
    rc = idn2_lookup_u8((const uint8_t *)in, &found, IDN_FLAGS);
    if (rc == IDN2_MALLOC)
        abort();
    if (rc != IDN2_OK)
        return err_set(err, ERR_INPUT, "not an internationalized name");
    if (strlen((const char *)found) > MAIL_DOMAIN_MAX)
        return err_set(err, ERR_INPUT, "domain name too long");
    memcpy(out, found, strlen((const char *)found) + 1);
    return true;
}

/* An A-label has to be the one form of a U-label (RFC 5891 section 5.4). */
static bool
check_a_labels(struct slice text, struct err *err)
{
    while (text.len > 0) {
        struct slice label = slice_cut(&text, '.');
        char again[MAIL_DOMAIN_MAX + 1];

        if (!slice_starts_nocase(label, "xn--"))
            continue;
        if (!to_ascii(label, again, err))
            return false;
        if (!slice_is(label, again))
            return err_set(err, ERR_INPUT, "not an internationalized name");
    }
    return true;
}

static void
copy_lower(struct slice from, char *to)
{
    for (size_t i = 0; i < from.len; i++)
        to[i] = (char)(from.p[i] >= 'A' && from.p[i] <= 'Z' ? from.p[i] | 0x20
                                                            : from.p[i]);
    to[from.len] = '\0';
}

static bool
ascii_name(struct slice text, unsigned labels_min, struct mail_domain *out,
           struct err *err)
{
    if (text.len > MAIL_DOMAIN_MAX)
        return err_set(err, ERR_INPUT, "domain name too long");
    copy_lower(text, out->text);
    return check((struct slice){out->text, text.len}, labels_min, err);
}

static bool
parse(struct slice text, struct mail_domain *out, struct err *err)
{
    if (is_ascii(text))
        return ascii_name(text, 2, out, err) &&
               check_a_labels(slice_of(out->text), err);
    if (!may_show_all(text))
        return err_set(err, ERR_INPUT, "bad character in domain name");
    /* What the mapping makes of a character may be anything in ASCII. */
    return to_ascii(text, out->text, err) && check(slice_of(out->text), 2, err);
}

static struct slice
without_dot(struct slice text)
{
    bool has_dot = text.len > 0 && text.p[text.len - 1] == '.';

    return slice_first(text, text.len - has_dot);
}

bool
mail_domain_parse(struct slice text, struct mail_domain *out, struct err *err)
{
    *out = (struct mail_domain){0};
    if (parse(without_dot(text), out, err))
        return true;
    *out = (struct mail_domain){0};
    return false;
}

bool
mail_domain_parse_host(struct slice text, struct mail_domain *out,
                       struct err *err)
{
    *out = (struct mail_domain){0};
    if (ascii_name(without_dot(text), 1, out, err))
        return true;
    *out = (struct mail_domain){0};
    return false;
}

bool
mail_domain_parse_any(struct slice text, struct mail_domain *out,
                      struct err *err)
{
    return mail_domain_parse_host(text, out, err) ||
           mail_domain_parse(text, out, err);
}
