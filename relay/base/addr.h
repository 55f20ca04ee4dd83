/*
 * relay/base/addr - IP addresses, ports and networks as values.
 *
 * An IPv4-mapped IPv6 address is always turned into the IPv4 address it is,
 * so that a network rule can't be walked round.
 */
#ifndef RELAY_BASE_ADDR_H
#define RELAY_BASE_ADDR_H

#include "relay/base/err.h"
#include "relay/base/own.h"
#include "relay/base/slice.h"

#include <netinet/in.h>
#include <sys/socket.h>

enum { ADDR_TEXT_SIZE = 64 }; /* "[2001:db8::1%eth0]:65535" and a NUL */

struct addr {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    };
};

struct addr_net {
    struct addr base;
    unsigned bits; /* of the family: 0 to 32, or 0 to 128 */
};

/* "192.0.2.1", "2001:db8::1", "[2001:db8::1]"; port 0. */
bool addr_parse(struct slice text, struct addr *out, struct err *err) must_use;

/* "192.0.2.1:25", "[2001:db8::1]:25"; without port, default_port (0: then a
 * port is required). */
bool addr_parse_port(struct slice text, unsigned default_port, struct addr *out,
                     struct err *err) must_use;

/* "10.0.0.0/8", "::1/128", or one address.  Bits behind the prefix must be 0:
 * the error says which network was probably meant. */
bool addr_net_parse(struct slice text, struct addr_net *out,
                    struct err *err) must_use;

struct addr addr_from_v4(struct in_addr a, unsigned port);
struct addr addr_from_v6(struct in6_addr a, unsigned port);
struct addr addr_from_sockaddr(const struct sockaddr *sa);
unsigned addr_port(const struct addr *a);
void addr_set_port(struct addr *a, unsigned port);
socklen_t addr_len(const struct addr *a);
bool addr_is_same_host(const struct addr *a, const struct addr *b);
bool addr_is_in(const struct addr *a, const struct addr_net *net);
bool addr_is_loopback(const struct addr *a);

/* Not on the public Internet: unspecified, loopback, private, link-local,
 * shared, multicast, reserved, and IPv6 forms that embed such an IPv4 address
 * (RFC 6890). */
bool addr_is_special(const struct addr *a);

const char *addr_text(const struct addr *a,
                      char out[ADDR_TEXT_SIZE]); /* no port */
const char *addr_text_port(const struct addr *a, char out[ADDR_TEXT_SIZE]);

/* "1.2.0.192.in-addr.arpa", or nibbles below ip6.arpa: where the PTR records
 * are (RFC 1035 section 3.5). */
enum { ADDR_REVERSE_SIZE = 76 };
const char *addr_reverse(const struct addr *a, char out[ADDR_REVERSE_SIZE]);

#endif
