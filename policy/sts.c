#include "policy/sts.h"

#include "relay/base/mem.h"
#include "relay/base/text.h"

#include <stdlib.h>

static const char *const mode_names[] = {
    [POLICY_STS_NONE] = "none",
    [POLICY_STS_TESTING] = "testing",
    [POLICY_STS_ENFORCE] = "enforce",
};

enum { MODES = sizeof(mode_names) / sizeof(mode_names[0]), EXT_NAME_MAX = 32 };

const char *
policy_sts_mode_name(enum policy_sts_mode mode)
{
    return mode_names[mode];
}

/* ctype.h follows the locale; these grammars don't. */
static bool
is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool
is_alnum(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* The names of extensions are alike in record and policy. */
static bool
is_ext_name(struct slice s)
{
    if (s.len == 0 || s.len > EXT_NAME_MAX || !is_alnum(s.p[0]))
        return false;
    for (size_t i = 1; i < s.len; i++) {
        if (!is_alnum(s.p[i]) && s.p[i] != '_' && s.p[i] != '-' &&
            s.p[i] != '.')
            return false;
    }
    return true;
}

static bool
is_ext_value(struct slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.p[i] <= ' ' || s.p[i] > '~' || s.p[i] == '=')
            return false;
    }
    return s.len > 0;
}

static bool
read_id(struct slice value, char id[POLICY_STS_ID_MAX + 1], struct err *err)
{
    if (id[0])
        return err_set(err, ERR_INPUT, "the record has two ids");
    if (value.len == 0 || value.len > POLICY_STS_ID_MAX)
        return err_set(err, ERR_INPUT, "the id must have 1 to %d characters",
                       POLICY_STS_ID_MAX);
    for (size_t i = 0; i < value.len; i++) {
        if (!is_alnum(value.p[i]))
            return err_set(err, ERR_INPUT,
                           "the id may hold letters and digits only");
    }
    memcpy(id, value.p, value.len);
    id[value.len] = '\0';
    return true;
}

/* Deviation: empty fields are passed over, because "id=1;;" is common and to
 * refuse it would lose a policy that is there. */
static bool
read_fields(struct slice rest, char id[POLICY_STS_ID_MAX + 1], struct err *err)
{
    while (rest.len > 0) {
        struct slice value = slice_trim(slice_cut(&rest, ';'));

        if (value.len == 0)
            continue;
        struct slice name = slice_cut(&value, '=');

        if (slice_is(name, "id")) {
            if (!read_id(value, id, err))
                return false;
        } else if (!is_ext_name(name) || !is_ext_value(value)) {
            return err_set(err, ERR_INPUT, "the record has a malformed field");
        }
    }
    if (!id[0])
        return err_set(err, ERR_INPUT, "the record has no id");
    return true;
}

bool
policy_sts_record_parse(const struct slice *txt, size_t count,
                        char id[POLICY_STS_ID_MAX + 1], struct err *err)
{
    static const char version[] = "v=STSv1;";
    size_t len = sizeof(version) - 1;
    const struct slice *record = NULL;

    id[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        if (!slice_is(slice_first(txt[i], len), version))
            continue;
        if (record)
            return err_set(err, ERR_INPUT, "there are several STSv1 records");
        record = &txt[i];
    }
    if (!record)
        return err_set(err, ERR_MISSING, "there is no STSv1 record");
    if (read_fields(slice_from(*record, len), id, err))
        return true;
    id[0] = '\0';
    return false;
}

/* A policy while it is read: which lines it had. */
struct draft {
    struct policy_sts *out;
    bool has_version, has_mode, has_age;
};

static bool
read_version(struct draft *d, struct slice value, struct err *err)
{
    if (!slice_is(value, "STSv1"))
        return err_set(err, ERR_INPUT, "the version is not STSv1");
    d->has_version = true;
    return true;
}

static bool
read_mode(struct draft *d, struct slice value, struct err *err)
{
    for (size_t i = 0; i < MODES; i++) {
        if (!slice_is(value, mode_names[i]))
            continue;
        d->out->mode = (enum policy_sts_mode)i;
        d->has_mode = true;
        return true;
    }
    return err_set(err, ERR_INPUT,
                   "the mode is none of enforce, testing and none");
}

/* A number of any length is taken for the maximum when it is larger: to
 * refuse it would lose the policy. */
static bool
read_age(struct draft *d, struct slice value, struct err *err)
{
    unsigned long long age = POLICY_STS_AGE_MAX;

    for (size_t i = 0; i < value.len; i++) {
        if (!is_digit(value.p[i]))
            value.len = 0;
    }
    if (value.len == 0)
        return err_set(err, ERR_INPUT, "max_age is not a number of seconds");
    if (!slice_number(value, POLICY_STS_AGE_MAX, &age))
        age = POLICY_STS_AGE_MAX;
    d->out->max_age_s = (int64_t)age;
    d->has_age = true;
    return true;
}

/* RFC 8461 section 4.1: a wildcard is the whole left-most label. */
static bool
read_mx(struct draft *d, struct slice value, struct err *err)
{
    bool wild = slice_is(slice_first(value, 2), "*.");
    struct policy_sts *p = d->out;
    struct mail_domain name;
    struct err why = {0};

    if (p->mx_count == POLICY_STS_MX_MAX)
        return err_set(err, ERR_INPUT, "there are more than %d mx lines",
                       POLICY_STS_MX_MAX);
    if (!mail_domain_parse_host(slice_from(value, wild ? 2 : 0), &name, &why))
        return err_set(err, ERR_INPUT, "mx is no host name or pattern");
    if (p->mx_count % 16 == 0)
        p->mx = mem_resized(p->mx, p->mx_count + 16, sizeof(*p->mx));
    p->mx[p->mx_count++] = mem_printf("%s%s", wild ? "*." : "", name.text);
    return true;
}

/* Of a field that may stand only once, later ones are ignored (RFC 8461
 * section 3.2); so are fields with other names. */
static bool
read_field(struct draft *d, struct slice name, struct slice value,
           struct err *err)
{
    if (slice_is(name, "version"))
        return d->has_version || read_version(d, value, err);
    if (slice_is(name, "mode"))
        return d->has_mode || read_mode(d, value, err);
    if (slice_is(name, "max_age"))
        return d->has_age || read_age(d, value, err);
    if (slice_is(name, "mx"))
        return read_mx(d, value, err);
    if (!is_ext_name(name))
        return err_set(err, ERR_INPUT, "malformed name of a field");
    return true;
}

static bool
has_control(struct slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.p[i];

        if ((c < ' ' && c != '\t') || c == 0x7f)
            return true;
    }
    return false;
}

/* Deviation: spaces around the name and blank lines are passed over, because
 * to refuse them would lose a policy that is there. */
static bool
read_line(struct draft *d, struct slice line, struct err *err)
{
    struct slice value = slice_trim(line);

    if (has_control(value) || !text_is_utf8(value))
        return err_set(err, ERR_INPUT,
                       "a control character, or no well-formed UTF-8");
    if (value.len == 0)
        return true;
    if (!memchr(value.p, ':', value.len))
        return err_set(err, ERR_INPUT, "no colon");
    struct slice name = slice_trim(slice_cut(&value, ':'));

    return read_field(d, name, slice_trim(value), err);
}

static bool
read_lines(struct draft *d, struct slice text, struct err *err)
{
    const char *end = text.p + text.len;

    for (unsigned number = 1; text.len > 0; number++) {
        struct slice line = slice_cut(&text, '\n');
        bool has_end = line.p + line.len < end;

        if (has_end && line.len > 0 && line.p[line.len - 1] == '\r')
            line.len--;
        if (!read_line(d, line, err))
            return err_in(err, "line %u", number);
    }
    return true;
}

static bool
is_complete(const struct draft *d, struct err *err)
{
    if (!d->has_version)
        return err_set(err, ERR_INPUT, "there is no version line");
    if (!d->has_mode)
        return err_set(err, ERR_INPUT, "there is no mode line");
    if (!d->has_age)
        return err_set(err, ERR_INPUT, "there is no max_age line");
    if (d->out->mx_count == 0 && d->out->mode != POLICY_STS_NONE)
        return err_set(err, ERR_INPUT, "there is no mx line");
    return true;
}

bool
policy_sts_parse(struct slice text, struct policy_sts *out, struct err *err)
{
    struct draft d = {.out = out};

    *out = (struct policy_sts){0};
    if (text.len > POLICY_STS_TEXT_MAX)
        return err_set(err, ERR_INPUT, "more than %d octets",
                       POLICY_STS_TEXT_MAX);
    if (read_lines(&d, text, err) && is_complete(&d, err))
        return true;
    policy_sts_done(out);
    return false;
}

void
policy_sts_done(struct policy_sts *p)
{
    for (size_t i = 0; i < p->mx_count; i++)
        free(p->mx[i]);
    free(p->mx);
    *p = (struct policy_sts){0};
}

static bool
matches(const char *pattern, struct slice host)
{
    struct slice parent = host;
    struct slice label = slice_cut(&parent, '.');

    if (strncmp(pattern, "*.", 2) != 0)
        return slice_is_nocase(host, pattern);
    return label.len > 0 && parent.len > 0 &&
           slice_is_nocase(parent, pattern + 2);
}

bool
policy_sts_has_mx(const struct policy_sts *p, const char *host)
{
    struct slice name = slice_of(host);

    if (name.len > 0 && name.p[name.len - 1] == '.')
        name.len--;
    for (size_t i = 0; i < p->mx_count; i++) {
        if (matches(p->mx[i], name))
            return true;
    }
    return false;
}

void
policy_sts_entry_copy(const struct policy_sts_entry *from,
                      struct policy_sts_entry *to)
{
    *to = *from;
    to->text = mem_text(from->text);
    to->failure = mem_text(from->failure);
}

void
policy_sts_entry_done(struct policy_sts_entry *e)
{
    free(e->text);
    free(e->failure);
    *e = (struct policy_sts_entry){0};
}
