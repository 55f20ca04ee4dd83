#include "relay/config/value.h"

#include "relay/base/mem.h"
#include "relay/mail/address.h"

#include <assert.h>
#include <stdlib.h>

enum { SMTP_PORT = 25, SMTPS_PORT = 465 };

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

static bool
parse_peer(const char *text, struct addr_net *out, struct err *err)
{
    if (strcmp(text, "unix") != 0)
        return addr_net_parse(slice_of(text), out, err);
    *out = (struct addr_net){.base.any.sa_family = AF_UNSPEC};
    return true;
}

static bool
parse_peers(const struct config_setting *s, struct config_networks *out,
            struct config_origins *o, struct err *err)
{
    out->net = config_keep(o, mem_array(struct addr_net, s->count + 1));
    for (out->count = 0; out->count < s->count; out->count++)
        if (!parse_peer(s->value[out->count], &out->net[out->count], err))
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
LIES_LIKE(struct config_route, bind, bind_count, addresses);
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
        if (!config_span_parse(s->key, s->value[out->steps],
                               &out->step_ms[out->steps], err))
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

struct fingerprints {
    struct policy_fingerprint *fingerprint;
    size_t count;
};
LIES_LIKE(struct config_domain, fingerprint, fingerprint_count, fingerprints);
LIES_LIKE(struct config_route, fingerprint, fingerprint_count, fingerprints);

static int
hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
        return (c | 0x20) - 'a' + 10;
    return -1;
}

/* As openssl x509 -fingerprint prints it, colons and all, or without them. */
static bool
parse_fingerprint(struct slice text, struct policy_fingerprint *out,
                  struct err *err)
{
    struct slice kind = slice_cut(&text, ':');
    size_t digits = 0;

    *out = (struct policy_fingerprint){0};
    if (slice_is_nocase(kind, "spki-sha256"))
        out->of = POLICY_FINGERPRINT_KEY;
    else if (!slice_is_nocase(kind, "sha256"))
        return err_set(err, ERR_INPUT,
                       "begins with neither sha256: nor spki-sha256:");
    for (size_t i = 0; i < text.len; i++) {
        int digit = hex_digit(text.p[i]);

        if (text.p[i] == ':')
            continue;
        if (digit < 0 || digits == 2 * POLICY_FINGERPRINT_LEN)
            return err_set(err, ERR_INPUT, "is not 64 hexadecimal digits");
        out->sha256[digits / 2] =
            (uint8_t)(out->sha256[digits / 2] << 4 | digit);
        digits++;
    }
    return digits == 2 * POLICY_FINGERPRINT_LEN ||
           err_set(err, ERR_INPUT, "is not 64 hexadecimal digits");
}

static bool
parse_fingerprints(const struct config_setting *s, struct fingerprints *out,
                   struct config_origins *o, struct err *err)
{
    out->fingerprint =
        config_keep(o, mem_array(struct policy_fingerprint, s->count + 1));
    for (out->count = 0; out->count < s->count; out->count++)
        if (!parse_fingerprint(slice_of(s->value[out->count]),
                               &out->fingerprint[out->count], err))
            return blame(s->value[out->count], err);
    return true;
}

bool
config_list_parse(const struct config_setting *s, void *place,
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
    case CONFIG_PEERS:
        return parse_peers(s, place, o, err);
    case CONFIG_FINGERPRINTS:
        return parse_fingerprints(s, place, o, err);
    case CONFIG_ADDRESSES:
        return parse_addresses(s, place, o, err);
    case CONFIG_STEPS:
        return parse_steps(s, place, err);
    case CONFIG_VIAS:
        return parse_vias(s, place, o, err);
    case CONFIG_TEXT:
    case CONFIG_PASSWORD:
    case CONFIG_FILE:
    case CONFIG_SECRET:
    case CONFIG_BOOL:
    case CONFIG_CHOICE:
    case CONFIG_COUNT:
    case CONFIG_OCTAL:
    case CONFIG_LARGE:
    case CONFIG_SPAN:
    case CONFIG_SIZE:
    case CONFIG_RATE:
    case CONFIG_WORD:
    case CONFIG_DATE:
    case CONFIG_OFF:
        break;
    }
    abort(); /* not a list */
}
