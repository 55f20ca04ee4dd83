#include "relay/daemon/config_value.h"

#include "relay/base/mem.h"
#include "relay/base/text.h"
#include "relay/mail/address.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { VALUE_MAX = 4096, SMTP_PORT = 25, SMTPS_PORT = 465 };

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
parse_span(const struct config_key *k, const char *text, int64_t *out,
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
parse_domain(struct slice text, const char **out, struct config_origins *o,
             struct err *err)
{
    struct mail_domain domain;

    if (!mail_domain_parse(text, &domain, err))
        return false;
    *out = config_keep(o, mem_text(domain.text));
    return true;
}

static bool
parse_pattern(struct slice text, const char **out, struct config_origins *o,
              struct err *err)
{
    struct mail_address address;
    const char *domain;

    if (slice_is(text, "*") || slice_is(text, "<>")) {
        *out = config_keep(o, mem_copy(text));
        return true;
    }
    if (text.len > 0 && text.p[0] == '@') {
        if (!parse_domain(slice_from(text, 1), &domain, o, err))
            return false;
        *out = config_keep(o, mem_printf("@%s", domain));
        return true;
    }
    if (!mail_address_parse(text, true, &address, err))
        return false;
    *out = address.is_literal
               ? config_keep(o, mem_text(address.text))
               : config_keep(o, mem_printf("%.*s@%s", (int)address.at,
                                           address.text, address.domain.text));
    return true;
}

static bool
parse_port(struct slice text, unsigned *out, struct err *err)
{
    unsigned long long port;

    if (!slice_number(text, 65535, &port) || port == 0)
        return err_set(err, ERR_LIMIT, "a port is from 1 to 65535");
    *out = (unsigned)port;
    return true;
}

/* The last colon outside of brackets splits off a port. */
static bool
cut_port(struct slice *text, unsigned *port, struct err *err)
{
    size_t i = text->len;

    *port = SMTP_PORT;
    while (i > 0 && text->p[i - 1] != ':' && text->p[i - 1] != ']')
        i--;
    if (i == 0 || text->p[i - 1] == ']')
        return true;
    if (!parse_port(slice_from(*text, i), port, err))
        return false;
    *text = slice_first(*text, i - 1);
    return true;
}

bool
config_via_parse(struct slice text, struct config_via *out,
                 struct config_origins *o, struct err *err)
{
    struct mail_domain host;
    struct addr address;
    struct err ignored;

    *out = (struct config_via){.is_mx = slice_starts_nocase(text, "mx:")};
    if (out->is_mx)
        text = slice_from(text, 3);
    if (!cut_port(&text, &out->port, err))
        return false;
    out->implicit_tls = out->port == SMTPS_PORT && !out->is_mx;
    if (text.len > 2 && text.p[0] == '[' && text.p[text.len - 1] == ']')
        text = slice_first(slice_from(text, 1), text.len - 2);
    if (!out->is_mx && addr_parse(text, &address, &ignored)) {
        char name[ADDR_TEXT_SIZE];

        out->is_address = true;
        out->host = config_keep(o, mem_text(addr_text(&address, name)));
        return true;
    }
    if (out->is_mx ? !mail_domain_parse(text, &host, err)
                   : !mail_domain_parse_host(text, &host, err))
        return false;
    out->host = config_keep(o, mem_text(host.text));
    return true;
}

/* --- lists ------------------------------------------------------------- */

typedef bool text_fn(struct slice text, const char **out,
                     struct config_origins *o, struct err *err);

static bool
parse_as_is(struct slice text, const char **out, struct config_origins *o,
            struct err *err)
{
    (void)err;
    *out = config_keep(o, mem_copy(text));
    return true;
}

/* Says which of several values is the wrong one. */
static bool
blame(const char *value, struct err *err)
{
    return err_in(err, "\"%.60s\"", value);
}

static bool
parse_texts(const struct config_setting *s, struct config_texts *out,
            text_fn *parse, struct config_origins *o, struct err *err)
{
    out->text = config_keep(o, mem_array(const char *, s->count + 1));
    for (out->count = 0; out->count < s->count; out->count++)
        if (!parse(slice_of(s->value[out->count]), &out->text[out->count], o,
                   err))
            return blame(s->value[out->count], err);
    return true;
}

static bool
parse_networks(const struct config_setting *s, struct config_networks *out,
               struct config_origins *o, struct err *err)
{
    out->net = config_keep(o, mem_array(struct addr_net, s->count + 1));
    for (out->count = 0; out->count < s->count; out->count++)
        if (!addr_net_parse(slice_of(s->value[out->count]),
                            &out->net[out->count], err))
            return blame(s->value[out->count], err);
    return true;
}

/* How lists of addresses and of hosts lie in their structs. */
struct addresses {
    struct addr *addr;
    size_t count;
};
struct vias {
    struct config_via *via;
    size_t count;
};
#define LIES_LIKE(type, first, second, like)                                   \
    static_assert(offsetof(type, second) - offsetof(type, first) ==            \
                      offsetof(struct like, count),                            \
                  #like)
LIES_LIKE(struct config, resolver.server, resolver.server_count, addresses);
LIES_LIKE(struct config, delivery.bind, delivery.bind_count, addresses);
LIES_LIKE(struct config_route, via, via_count, vias);

static bool
parse_addresses(const struct config_setting *s, struct addresses *out,
                struct config_origins *o, struct err *err)
{
    bool has_port = s->key->min >= 0;

    out->addr = config_keep(o, mem_array(struct addr, s->count + 1));
    for (out->count = 0; out->count < s->count; out->count++) {
        struct slice text = slice_of(s->value[out->count]);
        struct addr *a = &out->addr[out->count];

        if (has_port ? !addr_parse_port(text, (unsigned)s->key->min, a, err)
                     : !addr_parse(text, a, err))
            return blame(s->value[out->count], err);
        if (has_port && addr_port(a) == 0)
            return err_set(err, ERR_LIMIT, "a port is from 1 to 65535");
    }
    return true;
}

static bool
parse_steps(const struct config_setting *s, struct queue_schedule *out,
            struct err *err)
{
    if (s->count < 1 || s->count > QUEUE_SCHEDULE_STEPS_MAX)
        return err_set(err, ERR_LIMIT, "needs from 1 to %d values",
                       QUEUE_SCHEDULE_STEPS_MAX);
    for (out->steps = 0; out->steps < s->count; out->steps++)
        if (!parse_span(s->key, s->value[out->steps], &out->step_ms[out->steps],
                        err))
            return false;
    return true;
}

static bool
parse_vias(const struct config_setting *s, struct vias *out,
           struct config_origins *o, struct err *err)
{
    out->via = config_keep(o, mem_array(struct config_via, s->count + 1));
    for (out->count = 0; out->count < s->count; out->count++)
        if (!config_via_parse(slice_of(s->value[out->count]),
                              &out->via[out->count], o, err))
            return blame(s->value[out->count], err);
    return true;
}

/* --- any key ----------------------------------------------------------- */

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
        *(const char **)place = text;
        return true;
    case CONFIG_BOOL:
        return parse_bool(text, place, err);
    case CONFIG_COUNT:
        if (!parse_number(k, text, &number, err))
            return false;
        *(unsigned *)place = (unsigned)number;
        return true;
    case CONFIG_LARGE:
        if (!parse_number(k, text, &number, err))
            return false;
        *(uint64_t *)place = number;
        return true;
    case CONFIG_SPAN:
        return parse_span(k, text, place, err);
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
    case CONFIG_FLAG:
        if (!find_word(k, text, &word, err))
            return false;
        *(bool *)place = word != 0;
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
    case CONFIG_ADDRESSES:
    case CONFIG_STEPS:
    case CONFIG_VIAS:
        break;
    }
    abort(); /* not a scalar */
}

static bool
parse_list(const struct config_setting *s, void *place,
           struct config_origins *o, struct err *err)
{
    const struct config_key *k = s->key;

    switch (k->type) {
    case CONFIG_OFF_LIST:
        return s->count == 0 ||
               err_set(err, ERR_INPUT, "not available in this version");
    case CONFIG_TEXTS:
        return parse_texts(s, place, parse_as_is, o, err);
    case CONFIG_DOMAINS:
        return parse_texts(s, place, parse_domain, o, err);
    case CONFIG_PATTERNS:
        return parse_texts(s, place, parse_pattern, o, err);
    case CONFIG_NETWORKS:
        return parse_networks(s, place, o, err);
    case CONFIG_ADDRESSES:
        return parse_addresses(s, place, o, err);
    case CONFIG_STEPS:
        return parse_steps(s, place, err);
    case CONFIG_VIAS:
        return parse_vias(s, place, o, err);
    case CONFIG_TEXT:
    case CONFIG_FILE:
    case CONFIG_SECRET:
    case CONFIG_BOOL:
    case CONFIG_COUNT:
    case CONFIG_LARGE:
    case CONFIG_SPAN:
    case CONFIG_SIZE:
    case CONFIG_RATE:
    case CONFIG_WORD:
    case CONFIG_FLAG:
    case CONFIG_DATE:
    case CONFIG_OFF:
        break;
    }
    abort(); /* not a list */
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
    return parse_list(s, place, o, err);
}
