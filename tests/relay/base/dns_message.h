/*
 * dns_message - DNS messages for tests, written octet by octet.
 *
 * Names are given as text; a '*' in front of one means that what follows are
 * the octets of the name in hexadecimal, for everything that is malformed.
 */
#ifndef TESTS_RELAY_BASE_DNS_MESSAGE_H
#define TESTS_RELAY_BASE_DNS_MESSAGE_H

#include "relay/base/buf.h"
#include "relay/base/dns.h"

static inline void
put16(struct buf *b, unsigned value)
{
    buf_add_byte(b, (char)(value >> 8));
    buf_add_byte(b, (char)value);
}

static inline void
put32(struct buf *b, uint32_t value)
{
    put16(b, value >> 16);
    put16(b, value & 0xFFFF);
}

static inline unsigned
hex_digit(char c)
{
    return (unsigned)(c >= 'a' ? c - 'a' + 10 : c - '0');
}

static inline void
put_hex(struct buf *b, const char *hex)
{
    for (; *hex; hex += hex[0] == ' ' ? 1 : 2)
        if (*hex != ' ')
            buf_add_byte(b, (char)(hex_digit(hex[0]) << 4 | hex_digit(hex[1])));
}

static inline void
put_name(struct buf *b, const char *name)
{
    struct slice rest = slice_of(name);

    if (name[0] == '*') {
        put_hex(b, name + 1);
        return;
    }
    while (rest.len > 0) {
        struct slice label = slice_cut(&rest, '.');

        buf_add_byte(b, (char)label.len);
        buf_add(b, label);
    }
    buf_add_byte(b, 0);
}

/* Header and question; flags as in the second word of the header. */
static inline void
put_question(struct buf *b, unsigned flags, const char *name, unsigned type)
{
    put16(b, 0x1234);
    put16(b, flags);
    put16(b, 1);
    put16(b, 0);
    put32(b, 0);
    put_name(b, name);
    put16(b, type);
    put16(b, 1);
}

enum section { ANSWER = 6, AUTHORITY = 8, ADDITIONAL = 10 };

/* A record up to its RDLENGTH, counted in its section; the caller puts `len`
 * octets behind it, or claims to. */
static inline void
put_head(struct buf *b, enum section section, const char *owner, unsigned type,
         uint32_t ttl, size_t len)
{
    unsigned count = (unsigned)(unsigned char)b->p[section] << 8 |
                     (unsigned char)b->p[section + 1];

    count++;
    b->p[section] = (char)(count >> 8);
    b->p[section + 1] = (char)count;
    put_name(b, owner);
    put16(b, type);
    put16(b, 1);
    put32(b, ttl);
    put16(b, (unsigned)len);
}

static inline void
put_record(struct buf *b, enum section section, const char *owner,
           unsigned type, uint32_t ttl, const char *hex)
{
    struct buf data = {0};

    put_hex(&data, hex);
    put_head(b, section, owner, type, ttl, data.len);
    buf_add(b, buf_slice(&data));
    buf_free(&data);
}

static inline void
put_cname(struct buf *b, const char *owner, uint32_t ttl, const char *target)
{
    struct buf data = {0};

    put_name(&data, target);
    put_head(b, ANSWER, owner, DNS_CNAME, ttl, data.len);
    buf_add(b, buf_slice(&data));
    buf_free(&data);
}

static inline void
put_mx(struct buf *b, const char *owner, unsigned preference, const char *host)
{
    struct buf data = {0};

    put16(&data, preference);
    put_name(&data, host);
    put_head(b, ANSWER, owner, DNS_MX, 300, data.len);
    buf_add(b, buf_slice(&data));
    buf_free(&data);
}

static inline void
put_soa(struct buf *b, uint32_t ttl, uint32_t minimum)
{
    put_head(b, AUTHORITY, "", 6, ttl, 22);
    put16(b, 0);
    put32(b, 1);
    put32(b, 1);
    put32(b, 1);
    put32(b, 1);
    put32(b, minimum);
}

#endif
