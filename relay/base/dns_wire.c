#include "relay/base/dns_wire.h"

static bool
is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

static uint8_t
lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? c | 0x20 : c;
}

static bool
is_name_octet(uint8_t c)
{
    return (lower(c) >= 'a' && lower(c) <= 'z') || is_digit(c) || c == '-' ||
           c == '_';
}

size_t
dns_wire_left(const struct dns_wire *w)
{
    return w->is_broken ? 0 : w->end - w->at;
}

const uint8_t *
dns_wire_bytes(struct dns_wire *w, size_t n)
{
    const uint8_t *p;

    if (w->is_broken || n > w->end - w->at) {
        w->is_broken = true;
        return NULL;
    }
    p = w->message ? w->message + w->at : NULL;
    w->at += n;
    return p;
}

uint8_t
dns_wire_u8(struct dns_wire *w)
{
    const uint8_t *p = dns_wire_bytes(w, 1);

    return p ? p[0] : 0;
}

uint16_t
dns_wire_u16(struct dns_wire *w)
{
    const uint8_t *p = dns_wire_bytes(w, 2);

    return (uint16_t)(p ? p[0] << 8 | p[1] : 0);
}

uint32_t
dns_wire_u32(struct dns_wire *w)
{
    uint32_t high = dns_wire_u16(w);

    return high << 16 | dns_wire_u16(w);
}

/* A name being put together; `wire_len` counts what it takes uncompressed. */
struct spelling {
    struct dns_wire_name *out;
    size_t len, wire_len;
};

static bool
add_label(struct spelling *s, const uint8_t *label, size_t n)
{
    char *text = s->out->text;

    s->wire_len += n + 1;
    if (s->wire_len + 1 > DNS_NAME_MAX)
        return false;
    if (s->len > 0)
        text[s->len++] = '.';
    for (size_t i = 0; i < n; i++) {
        s->out->is_odd = s->out->is_odd || !is_name_octet(label[i]);
        text[s->len++] = (char)lower(label[i]);
    }
    return true;
}

/* Where a compression pointer whose first octet was `high` leads: `w` reads on
 * there, up to where the part of the name with the pointer began, so that no
 * chain of them can turn back. */
static bool
follow(struct dns_wire *w, uint8_t high, size_t *part)
{
    size_t to = (size_t)(high & 0x3F) << 8 | dns_wire_u8(w);

    if (w->is_broken || to < DNS_WIRE_HEADER || to >= *part)
        return false;
    w->at = to;
    w->end = *part;
    *part = to;
    return true;
}

/* Reads one name with `w`, which ends somewhere else when there are pointers;
 * `behind` is where the name ends in its own place. */
static bool
spell(struct dns_wire *w, struct spelling *s, size_t *behind)
{
    size_t part = w->at;
    unsigned pointers = 0;

    for (;;) {
        uint8_t len = dns_wire_u8(w);
        const uint8_t *label;

        if (w->is_broken)
            return false;
        if (len == 0 || (len & 0xC0) == 0xC0) {
            if (pointers == 0)
                *behind = w->at + (len != 0);
            if (len == 0)
                return true;
            if (++pointers > DNS_WIRE_POINTERS_MAX || !follow(w, len, &part))
                return false;
            continue;
        }
        /* 40h and 80h are no labels (RFC 6891 section 5). */
        if (len > DNS_WIRE_LABEL_MAX)
            return false;
        label = dns_wire_bytes(w, len);
        if (!label || !add_label(s, label, len))
            return false;
    }
}

void
dns_wire_name(struct dns_wire *w, struct dns_wire_name *out)
{
    struct dns_wire reader = *w;
    struct spelling s = {.out = out};

    *out = (struct dns_wire_name){0};
    if (w->is_broken || !spell(&reader, &s, &w->at)) {
        w->is_broken = true;
        *out = (struct dns_wire_name){.is_odd = true};
    }
    if (out->is_odd)
        *out = (struct dns_wire_name){.is_odd = true};
}

void
dns_wire_record(struct dns_wire *w, struct dns_wire_record *out)
{
    size_t len;

    *out = (struct dns_wire_record){0};
    dns_wire_name(w, &out->owner);
    out->type = dns_wire_u16(w);
    out->klass = dns_wire_u16(w);
    out->ttl = dns_wire_u32(w);
    len = dns_wire_u16(w);
    out->data = *w;
    if (dns_wire_bytes(w, len))
        out->data.end = out->data.at + len;
    out->data.is_broken = w->is_broken;
}

bool
dns_wire_is_same(const struct dns_wire_name *a, const char *name)
{
    return !a->is_odd && strcmp(a->text, name) == 0;
}

bool
dns_wire_normal(const char *name, char out[DNS_NAME_MAX + 1])
{
    size_t len = strlen(name), label = 0;

    if (len > 0 && name[len - 1] == '.')
        len--;
    if (len == 0 || len > DNS_NAME_MAX - 2)
        return false;
    for (size_t i = 0; i < len; i++) {
        uint8_t c = (uint8_t)name[i];

        label = c == '.' ? 0 : label + 1;
        if (c == '.' ? i == 0 || name[i - 1] == '.' || i + 1 == len
                     : !is_name_octet(c) || label > DNS_WIRE_LABEL_MAX)
            return false;
        out[i] = (char)lower(c);
    }
    out[len] = '\0';
    return true;
}

bool
dns_wire_is_host(const char *name)
{
    struct slice rest = slice_of(name), label = {0};

    while (rest.len > 0) {
        label = slice_cut(&rest, '.');
        if (label.len == 0 || label.p[0] == '-' ||
            label.p[label.len - 1] == '-')
            return false;
    }
    /* RFC 6761 section 6.3: every name under localhost is this machine. */
    return label.len > 0 && !slice_is(label, "localhost") &&
           strspn(label.p, "0123456789") < label.len;
}
