/*
 * relay/base/dns_wire - the octets of a DNS message, read within their bounds.
 *
 * A reader never passes its end: a read that would leaves it broken, gives
 * zeros from then on, and the holder asks once, when it is done, whether all
 * went well.
 */
#ifndef RELAY_BASE_DNS_WIRE_H
#define RELAY_BASE_DNS_WIRE_H

#include "relay/base/dns.h"

enum {
    DNS_WIRE_HEADER = 12,        /* octets; RFC 1035 section 4.1.1 */
    DNS_WIRE_LABEL_MAX = 63,     /* octets; RFC 1035 section 2.3.4 */
    DNS_WIRE_POINTERS_MAX = 127, /* in one name; our own */
    DNS_WIRE_IN = 1,             /* the class of the Internet */
};

struct dns_wire {
    const uint8_t *message;
    size_t at, end; /* offsets from the start of the message */
    bool is_broken;
};

/* A name in lower case without trailing dot; "" is the root.  Its text is ""
 * too when a label holds an octet that is no letter, digit, hyphen or
 * underscore: such a name equals no other and never reaches a log. */
struct dns_wire_name {
    char text[DNS_NAME_MAX + 1];
    bool is_odd;
};

/* One record; `data` reads its RDATA and nothing else. */
struct dns_wire_record {
    struct dns_wire_name owner;
    uint16_t type, klass;
    uint32_t ttl;
    struct dns_wire data;
};

uint8_t dns_wire_u8(struct dns_wire *w);
uint16_t dns_wire_u16(struct dns_wire *w);
uint32_t dns_wire_u32(struct dns_wire *w);
size_t dns_wire_left(const struct dns_wire *w);

/* The next n octets, NULL when there are fewer. */
const uint8_t *dns_wire_bytes(struct dns_wire *w, size_t n);

/* Follows compression pointers, backward only, within the whole message before
 * the name (RFC 1035 section 4.1.4). */
void dns_wire_name(struct dns_wire *w, struct dns_wire_name *out);
void dns_wire_record(struct dns_wire *w, struct dns_wire_record *out);

bool dns_wire_is_same(const struct dns_wire_name *a, const char *name);

/* Puts `name` into lower case and without its trailing dot; false when it is
 * the root, too long, or has a label that could not be asked for. */
bool dns_wire_normal(const char *name, char out[DNS_NAME_MAX + 1]);

/* A host that mail could be sent to: no address, not localhost. */
bool dns_wire_is_host(const char *name);

#endif
