#include "relay/config/value.h"

#include "relay/base/mem.h"
#include "relay/base/text.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { VALUE_MAX = 4096 };

void *
config_keep(struct config_origins *o, void *p)
{
    o->owned = mem_resized(o->owned, o->owned_count + 1, sizeof(*o->owned));
    o->owned[o->owned_count++] = p;
    return p;
}

static bool
parse_bool(const char *text, bool *out, struct err *err)
{
    static const char *const words[] = {"false", "no",  "off",
                                        "true",  "yes", "on"};

    for (size_t i = 0; i < 6; i++)
        if (strcmp(text, words[i]) == 0) {
            *out = i >= 3;
            return true;
        }
    return err_set(err, ERR_INPUT, "\"%.40s\" is neither true nor false", text);
}

/* Behind false and true, some switches have further positions. */
static bool
parse_choice(const struct config_key *k, const char *text, unsigned *out,
             struct err *err)
{
    bool is_on = false;

    for (unsigned i = 0; k->words[i]; i++)
        if (strcmp(text, k->words[i]) == 0) {
            *out = i + 2;
            return true;
        }
    if (!parse_bool(text, &is_on, err))
        return err_set(err, ERR_INPUT,
                       "\"%.40s\" is neither true, false nor %s", text,
                       k->words[0]);
    *out = is_on;
    return true;
}

static bool
parse_number(const struct config_key *k, const char *text,
             unsigned long long *out, struct err *err)
{
    if (!slice_number(slice_of(text), UINT64_MAX, out))
        return err_set(err, ERR_INPUT,
                       "\"%.40s\" is not a number from %lld to %lld", text,
                       k->min, k->max);
    if (*out < (unsigned long long)k->min || *out > (unsigned long long)k->max)
        return err_set(err, ERR_LIMIT, "%.40s is not from %lld to %lld", text,
                       k->min, k->max);
    return true;
}

static bool
parse_octal(const struct config_key *k, const char *text, unsigned *out,
            struct err *err)
{
    size_t len = strlen(text);

    *out = 0;
    if (len < 3 || len > 5 || strspn(text, "01234567") != len)
        return err_set(err, ERR_INPUT, "\"%.40s\" is not a mode like 0660",
                       text);
    for (size_t i = 0; i < len; i++)
        *out = *out * 8 + (unsigned)(text[i] - '0');
    if (*out > (unsigned)k->max)
        return err_set(err, ERR_LIMIT, "%.40s is not from 0000 to %04o", text,
                       (unsigned)k->max);
    return true;
}

bool
config_span_parse(const struct config_key *k, const char *text, int64_t *out,
                  struct err *err)
{
    char least[SPAN_TEXT_SIZE], most[SPAN_TEXT_SIZE];

    if (!span_parse(slice_of(text), out, err))
        return err_in(err, "\"%.40s\"", text);
    if (*out < k->min || *out > k->max)
        return err_set(err, ERR_LIMIT, "%.40s is not from %s to %s", text,
                       span_text(k->min, least), span_text(k->max, most));
    return true;
}

static bool
parse_size(const struct config_key *k, const char *text, uint64_t *out,
           struct err *err)
{
    char least[SPAN_TEXT_SIZE], most[SPAN_TEXT_SIZE];

    (void)span_size_text((uint64_t)k->min, least);
    (void)span_size_text((uint64_t)k->max, most);
    if (!span_parse_size(slice_of(text), out, err))
        return err_in(err, "\"%.40s\" is not from %s to %s", text, least, most);
    if (*out < (uint64_t)k->min || *out > (uint64_t)k->max)
        return err_set(err, ERR_LIMIT, "%.40s is not from %s to %s", text,
                       least, most);
    return true;
}

static bool
find_word(const struct config_key *k, const char *text, unsigned *out,
          struct err *err)
{
    char known[120] = "";

    for (unsigned i = 0; k->words[i]; i++) {
        size_t len = strlen(known);

        if (strcmp(text, k->words[i]) == 0) {
            *out = i;
            return true;
        }
        (void)snprintf(known + len, sizeof(known) - len, "%s%s",
                       i == 0 ? "" : ", ", k->words[i]);
    }
    return err_set(err, ERR_INPUT, "\"%.40s\" is none of %s", text, known);
}

static bool
check_off(const struct config_key *k, const char *text, struct err *err)
{
    for (unsigned i = 0; k->words[i]; i++)
        if (strcmp(text, k->words[i]) == 0)
            return true;
    return err_set(err, ERR_INPUT, "not available in this version");
}

static bool
check_file(const struct config_key *k, const char *path, struct err *err)
{
    struct stat st;

    if (path[0] == '\0')
        return true;
    if (stat(path, &st) != 0 || access(path, R_OK) != 0)
        return err_errno(err, "%.100s", path);
    if (!S_ISREG(st.st_mode))
        return err_set(err, ERR_INPUT, "%.100s is not a regular file", path);
    if (k->type == CONFIG_SECRET && (st.st_mode & (S_IROTH | S_IWOTH)))
        return err_set(err, ERR_INPUT,
                       "%.100s is a secret, but everybody may %s it (mode "
                       "%04o)",
                       path, st.st_mode & S_IWOTH ? "write" : "read",
                       (unsigned)st.st_mode & 07777);
    return true;
}

/* Days from 1970 to the first of a month of the Gregorian calendar. */
static int64_t
days_before(int year, unsigned month)
{
    static const unsigned short before[] = {0,   31,  59,  90,  120, 151,
                                            181, 212, 243, 273, 304, 334};
    bool is_leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    int64_t y = year - 1;

    return y * 365 + y / 4 - y / 100 + y / 400 - 719162 + before[month - 1] +
           (month > 2 && is_leap);
}

static bool
parse_date(const char *text, int64_t *out, struct err *err)
{
    struct slice rest = slice_of(text);
    struct slice year = slice_cut(&rest, '-');
    struct slice month = slice_cut(&rest, '-');
    unsigned long long y, m, d;
    int64_t first, next;

    *out = 0;
    if (text[0] == '\0')
        return true;
    if (year.len != 4 || month.len != 2 || rest.len != 2 ||
        !slice_number(year, 9999, &y) || !slice_number(month, 12, &m) ||
        !slice_number(rest, 31, &d) || y < 1970 || m == 0 || d == 0)
        return err_set(err, ERR_INPUT,
                       "\"%.40s\" is not a date like \"2027-01-31\"", text);
    first = days_before((int)y, (unsigned)m);
    next = m == 12 ? days_before((int)y + 1, 1)
                   : days_before((int)y, (unsigned)m + 1);
    if ((int64_t)d > next - first)
        return err_set(err, ERR_INPUT, "%.40s: that month has %d days", text,
                       (int)(next - first));
    *out = (first + (int64_t)d) * 24 * 60 * 60 * 1000;
    return true;
}

static bool
check_text(const struct config_setting *s, struct err *err)
{
    for (size_t i = 0; i < s->count; i++) {
        struct slice text = slice_of(s->value[i]);

        if (text.len > VALUE_MAX)
            return err_set(err, ERR_LIMIT, "is longer than %d octets",
                           VALUE_MAX);
        for (uint32_t code = 0; text.len > 0;) {
            size_t n = text_next(text, &code);

            if (n == 0 || !text_may_show(code))
                return err_set(err, ERR_INPUT,
                               "holds a control character or bad UTF-8");
            text = slice_from(text, n);
        }
    }
    return true;
}

static bool
parse_scalar(const struct config_setting *s, void *place, struct err *err)
{
    const struct config_key *k = s->key;
    const char *text = s->value[0];
    unsigned long long number = 0;
    unsigned word = 0;

    switch (k->type) {
    case CONFIG_FILE:
    case CONFIG_SECRET:
        *(const char **)place = text;
        return check_file(k, text, err);
    case CONFIG_TEXT:
    case CONFIG_PASSWORD:
        *(const char **)place = text;
        return true;
    case CONFIG_BOOL:
        return parse_bool(text, place, err);
    case CONFIG_CHOICE:
        if (!parse_choice(k, text, &word, err))
            return false;
        *(unsigned *)place = word;
        return true;
    case CONFIG_COUNT:
        if (!parse_number(k, text, &number, err))
            return false;
        *(unsigned *)place = (unsigned)number;
        return true;
    case CONFIG_OCTAL:
        return parse_octal(k, text, place, err);
    case CONFIG_LARGE:
        if (!parse_number(k, text, &number, err))
            return false;
        *(uint64_t *)place = number;
        return true;
    case CONFIG_SPAN:
        return config_span_parse(k, text, place, err);
    case CONFIG_SIZE:
        return parse_size(k, text, place, err);
    case CONFIG_RATE:
        return span_parse_rate(slice_of(text), place, err) ||
               err_in(err, "\"%.40s\"", text);
    case CONFIG_WORD:
        if (!find_word(k, text, &word, err))
            return false;
        *(unsigned *)place = word + (unsigned)k->min;
        return true;
    case CONFIG_DATE:
        return parse_date(text, place, err);
    case CONFIG_OFF:
        return check_off(k, text, err);
    case CONFIG_OFF_LIST:
    case CONFIG_TEXTS:
    case CONFIG_DOMAINS:
    case CONFIG_PATTERNS:
    case CONFIG_NETWORKS:
    case CONFIG_PEERS:
    case CONFIG_FINGERPRINTS:
    case CONFIG_ADDRESSES:
    case CONFIG_STEPS:
    case CONFIG_VIAS:
        break;
    }
    abort(); /* not a scalar */
}

bool
config_value_parse(const struct config_setting *s, void *base,
                   struct config_origins *o, struct err *err)
{
    const struct config_key *k = s->key;
    void *place = (char *)base + k->at;

    if (!check_text(s, err))
        return false;
    if (!config_key_is_list(k))
        return parse_scalar(s, place, err);
    if (k->type != CONFIG_STEPS && k->max > 0 &&
        s->count > (unsigned long long)k->max)
        return err_set(err, ERR_LIMIT, "has more than %lld values", k->max);
    return config_list_parse(s, place, o, err);
}
