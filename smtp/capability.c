#include "smtp/capability.h"

#include "smtp/sasl.h"

#include <stdbool.h>
#include <stddef.h>

/* Keywords that are there or not. */
static const struct {
    const char *name;
    size_t offset; /* of their bool */
    bool may_have_parameters;
} flags[] = {
    /* Passing over an offer of encryption for a stray word behind it would
     * send mail in clear, so none is asked for here. */
    {"STARTTLS", offsetof(struct smtp_capability, starttls), true},
    {"PIPELINING", offsetof(struct smtp_capability, pipelining), false},
    {"8BITMIME", offsetof(struct smtp_capability, eightbitmime), false},
    /* "MUST behave as if the parameters do not appear": RFC 6531 section 3.1
     */
    {"SMTPUTF8", offsetof(struct smtp_capability, smtputf8), true},
    {"DSN", offsetof(struct smtp_capability, dsn), false},
    {"CHUNKING", offsetof(struct smtp_capability, chunking), false},
    {"REQUIRETLS", offsetof(struct smtp_capability, requiretls), false},
    {"ENHANCEDSTATUSCODES", offsetof(struct smtp_capability, enhanced_codes),
     false},
};

static void
set_name(struct smtp_capability *out, struct slice word)
{
    word = slice_first(word, sizeof(out->name) - 1);
    for (size_t i = 0; i < word.len; i++) {
        char c = word.p[i];

        out->name[i] = c > ' ' && c <= '~' ? c : '?';
    }
    out->name[word.len] = '\0';
}

static bool
is_number(struct slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.p[i] < '0' || s.p[i] > '9')
            return false;
    return s.len > 0;
}

/* RFC 1870 section 3: no number, or 0, is no limit.  A number that 64 bits
 * can't hold is none that a message can reach. */
static void
set_size(struct smtp_capability *out, struct slice number)
{
    unsigned long long max = 0;

    if (number.len > 0 && !is_number(number))
        return;
    if (!slice_number(number, UINT64_MAX, &max))
        max = 0;
    out->size = true;
    out->size_max = max;
}

/* "NAME=number", separated by spaces; what can't be read limits nothing: RFC
 * 9422 section 3. */
static void
set_limits(struct smtp_capability *out, struct slice parameters)
{
    const struct {
        const char *name;
        unsigned *value;
    } known[] = {
        {"MAILMAX", &out->mail_max},
        {"RCPTMAX", &out->rcpt_max},
        {"RCPTDOMAINMAX", &out->rcpt_domain_max},
    };

    while (parameters.len > 0) {
        struct slice number = slice_cut(&parameters, ' ');
        struct slice name = slice_cut(&number, '=');
        unsigned long long value;

        for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
            if (slice_is_nocase(name, known[i].name) && is_number(number) &&
                slice_number(number, SMTP_CAPABILITY_LIMIT_MAX, &value))
                *known[i].value = (unsigned)value;
    }
}

static void
add_auth(struct smtp_capability *out, struct slice names)
{
    enum smtp_sasl_mechanism m;

    out->has_auth = true;
    while (names.len > 0)
        if (smtp_sasl_find(slice_cut(&names, ' '), &m))
            out->auth |= SMTP_SASL_BIT(m);
}

static void
add_keyword(struct smtp_capability *out, struct slice line)
{
    struct slice parameters = slice_trim(line);
    struct slice keyword = slice_cut(&parameters, ' ');

    parameters = slice_trim(parameters);
    if (slice_is_nocase(keyword, "AUTH")) {
        add_auth(out, parameters);
        return;
    }
    /* Deviation: "AUTH=LOGIN PLAIN", for servers that still say it as it was
     * before RFC 4954. */
    if (slice_starts_nocase(keyword, "AUTH=")) {
        add_auth(out, slice_from(keyword, 5));
        add_auth(out, parameters);
        return;
    }
    if (slice_is_nocase(keyword, "SIZE")) {
        set_size(out, parameters);
        return;
    }
    if (slice_is_nocase(keyword, "LIMITS")) {
        set_limits(out, parameters);
        return;
    }
    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
        if (slice_is_nocase(keyword, flags[i].name) &&
            (parameters.len == 0 || flags[i].may_have_parameters))
            *(bool *)((char *)out + flags[i].offset) = true;
}

void
smtp_capability_parse(struct slice text, struct smtp_capability *out)
{
    struct slice first = slice_trim(slice_cut(&text, '\n'));

    *out = (struct smtp_capability){0};
    set_name(out, slice_cut(&first, ' '));
    while (text.len > 0)
        add_keyword(out, slice_cut(&text, '\n'));
}
