#include "relay/base/dns.h"

#include "relay/base/dns_wire.h"
#include "relay/base/mem.h"

#include <stdio.h>

enum {
    FLAG_RD = 0x0100, /* recursion desired */
    FLAG_AD = 0x0020, /* we understand AD (RFC 6840 section 5.7) */
    TYPE_OPT = 41,
    UDP_SIZE = 1232, /* fits every path without fragments; RFC 9715 */
};

const char *
dns_type_name(enum dns_type type)
{
    switch (type) {
    case DNS_A:
        return "A";
    case DNS_CNAME:
        return "CNAME";
    case DNS_PTR:
        return "PTR";
    case DNS_MX:
        return "MX";
    case DNS_TXT:
        return "TXT";
    case DNS_AAAA:
        return "AAAA";
    case DNS_TLSA:
        return "TLSA";
    }
    return "?";
}

static void
put_u16(uint8_t **p, unsigned value)
{
    *(*p)++ = (uint8_t)(value >> 8);
    *(*p)++ = (uint8_t)value;
}

static void
put_name(uint8_t **p, const char *name)
{
    struct slice rest = slice_of(name);

    while (rest.len > 0) {
        struct slice label = slice_cut(&rest, '.');

        *(*p)++ = (uint8_t)label.len;
        memcpy(*p, label.p, label.len);
        *p += label.len;
    }
    *(*p)++ = 0;
}

size_t
dns_query_write(uint16_t id, const char *name, enum dns_type type,
                uint8_t out[300])
{
    char normal[DNS_NAME_MAX + 1];
    uint8_t *p = out;

    if (!dns_wire_normal(name, normal))
        return 0;
    put_u16(&p, id);
    put_u16(&p, FLAG_RD | FLAG_AD);
    put_u16(&p, 1); /* questions */
    put_u16(&p, 0); /* answers */
    put_u16(&p, 0); /* authorities */
    put_u16(&p, 1); /* additional records: the OPT */
    put_name(&p, normal);
    put_u16(&p, type);
    put_u16(&p, DNS_WIRE_IN);
    *p++ = 0; /* the root owns it */
    put_u16(&p, TYPE_OPT);
    put_u16(&p, UDP_SIZE);
    put_u16(&p, 0); /* extended code and version */
    put_u16(&p, 0); /* DO clear */
    put_u16(&p, 0); /* no options */
    return (size_t)(p - out);
}

void
dns_answer_fail(struct dns_answer *out, const char *name, enum dns_type type,
                const char *why)
{
    *out = (struct dns_answer){.type = type, .outcome = DNS_FAILED};
    if (!dns_wire_normal(name, out->name))
        out->name[0] = '\0';
    memcpy(out->canonical, out->name, sizeof(out->name));
    (void)snprintf(out->why, sizeof(out->why), "%s", why);
}

static void
copy_data(enum dns_type type, struct dns_record *r)
{
    if (type == DNS_TXT)
        r->txt.p = mem_copy((struct slice){r->txt.p, r->txt.len});
    else if (type == DNS_TLSA)
        r->tlsa.data = (uint8_t *)mem_copy(
            (struct slice){(const char *)r->tlsa.data, r->tlsa.len});
}

void
dns_answer_copy(const struct dns_answer *from, struct dns_answer *to)
{
    *to = *from;
    if (!from->records)
        return;
    to->records = mem_array(struct dns_record, from->count);
    for (size_t i = 0; i < from->count; i++) {
        to->records[i] = from->records[i];
        copy_data(from->type, &to->records[i]);
    }
}

void
dns_answer_done(struct dns_answer *a)
{
    for (size_t i = 0; i < a->count; i++)
        if (a->type == DNS_TXT)
            own_free(&a->records[i].txt.p);
        else if (a->type == DNS_TLSA)
            own_free(&a->records[i].tlsa.data);
    own_free(&a->records);
    a->count = 0;
}
