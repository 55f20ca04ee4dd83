#include "relay/net/proxy.h"

#include <arpa/inet.h>

static const char line_start[] = "PROXY ";
static const char signature[] = "\r\n\r\n\0\r\nQUIT\n";

enum {
    LINE_START_LEN = sizeof(line_start) - 1,
    SIGNATURE_LEN = sizeof(signature) - 1,
    FIXED_LEN = 16, /* of version 2, up to the addresses */
    V4_LEN = 12,    /* two addresses and two ports */
    V6_LEN = 36,
};

static enum net_proxy_step
refuse(struct err *err, const char *why)
{
    err_set(err, ERR_INPUT, "%s", why);
    return NET_PROXY_REFUSED;
}

/* Does `in` begin as `start` does, as far as it goes? */
static bool
agrees(struct slice in, const char *start, size_t len)
{
    return memcmp(in.p, start, in.len < len ? in.len : len) == 0;
}

/* --- version 1, a line --- */

/* Zeros in front would make a second way to write the same. */
static bool
parse_port(struct slice text, unsigned *out)
{
    unsigned long long port;

    if ((text.len > 1 && text.p[0] == '0') || !slice_number(text, 65535, &port))
        return false;
    *out = (unsigned)port;
    return true;
}

static bool
parse_host(struct slice text, int family, unsigned port, struct addr *out)
{
    char host[INET6_ADDRSTRLEN] = "";
    struct in6_addr v6;
    struct in_addr v4;

    if (text.len >= sizeof(host) || memchr(text.p, '\0', text.len))
        return false;
    memcpy(host, text.p, text.len);
    if (family == AF_INET6) {
        if (inet_pton(AF_INET6, host, &v6) != 1)
            return false;
        *out = addr_from_v6(v6, port);
        return true;
    }
    if (inet_pton(AF_INET, host, &v4) != 1)
        return false;
    *out = addr_from_v4(v4, port);
    return true;
}

static bool
parse_client(struct slice rest, int family, struct addr *out)
{
    struct slice from = slice_cut(&rest, ' ');
    struct slice to = slice_cut(&rest, ' ');
    struct slice from_port = slice_cut(&rest, ' ');
    struct addr ours;
    unsigned port, our_port;

    return parse_port(from_port, &port) && parse_port(rest, &our_port) &&
           parse_host(from, family, port, out) &&
           parse_host(to, family, our_port, &ours);
}

static enum net_proxy_step
parse_line(struct slice line, struct net_proxy *out, struct err *err)
{
    struct slice rest = slice_from(line, LINE_START_LEN);
    struct slice family = slice_cut(&rest, ' ');
    int number = slice_is(family, "TCP4")   ? AF_INET
                 : slice_is(family, "TCP6") ? AF_INET6
                                            : AF_UNSPEC;

    if (slice_is(family, "UNKNOWN")) {
        out->kind = NET_PROXY_UNKNOWN;
        return NET_PROXY_DONE;
    }
    if (number == AF_UNSPEC || !parse_client(rest, number, &out->client))
        return refuse(err, "a PROXY line without two addresses and ports");
    out->kind = NET_PROXY_CLIENT;
    return NET_PROXY_DONE;
}

static enum net_proxy_step
parse_v1(struct slice in, struct net_proxy *out, struct err *err)
{
    struct slice head = slice_first(in, NET_PROXY_LINE_MAX);
    const char *end = memchr(head.p, '\n', head.len);
    size_t len;

    if (!end)
        return head.len < NET_PROXY_LINE_MAX
                   ? NET_PROXY_WAITS
                   : refuse(err, "a PROXY line without end");
    len = (size_t)(end - head.p);
    if (len == 0 || head.p[len - 1] != '\r')
        return refuse(err, "a PROXY line that ends without CR");
    out->len = len + 1;
    return parse_line(slice_first(head, len - 1), out, err);
}

/* --- version 2, binary --- */

static unsigned
two_octets(const unsigned char *p)
{
    return (unsigned)(p[0] << 8 | p[1]);
}

static enum net_proxy_step
take_v4(const unsigned char *at, size_t len, struct net_proxy *out,
        struct err *err)
{
    struct in_addr v4;

    if (len < V4_LEN)
        return refuse(err, "a PROXY header too short for its addresses");
    memcpy(&v4, at, sizeof(v4));
    out->kind = NET_PROXY_CLIENT;
    out->client = addr_from_v4(v4, two_octets(at + 2 * sizeof(v4)));
    return NET_PROXY_DONE;
}

static enum net_proxy_step
take_v6(const unsigned char *at, size_t len, struct net_proxy *out,
        struct err *err)
{
    struct in6_addr v6;

    if (len < V6_LEN)
        return refuse(err, "a PROXY header too short for its addresses");
    memcpy(&v6, at, sizeof(v6));
    out->kind = NET_PROXY_CLIENT;
    out->client = addr_from_v6(v6, two_octets(at + 2 * sizeof(v6)));
    return NET_PROXY_DONE;
}

/* What stands behind the addresses says more about the client than we want to
 * know. */
static enum net_proxy_step
parse_v2(struct slice in, struct net_proxy *out, struct err *err)
{
    const unsigned char *p = (const unsigned char *)in.p;
    size_t len;

    if (in.len < FIXED_LEN)
        return NET_PROXY_WAITS;
    len = two_octets(p + SIGNATURE_LEN + 2);
    if (FIXED_LEN + len > NET_PROXY_HEADER_MAX)
        return refuse(err, "a PROXY header that is too long");
    if (in.len < FIXED_LEN + len)
        return NET_PROXY_WAITS;
    out->len = FIXED_LEN + len;
    switch (p[SIGNATURE_LEN]) {
    case 0x20:
        out->kind = NET_PROXY_LOCAL;
        return NET_PROXY_DONE;
    case 0x21:
        break;
    default: /* an octet, not an enum */
        return refuse(err, "a PROXY header of a version or command unknown");
    }
    switch (p[SIGNATURE_LEN + 1]) {
    case 0x11:
        return take_v4(p + FIXED_LEN, len, out, err);
    case 0x21:
        return take_v6(p + FIXED_LEN, len, out, err);
    case 0x00:
    case 0x31: /* a Unix socket, at the proxy's end */
        out->kind = NET_PROXY_UNKNOWN;
        return NET_PROXY_DONE;
    default:
        return refuse(err, "a PROXY header of a protocol that is not TCP");
    }
}

enum net_proxy_step
net_proxy_parse(struct slice in, struct net_proxy *out, struct err *err)
{
    *out = (struct net_proxy){.client.any.sa_family = AF_UNSPEC};
    if (in.len == 0)
        return NET_PROXY_WAITS;
    if (agrees(in, line_start, LINE_START_LEN))
        return in.len < LINE_START_LEN ? NET_PROXY_WAITS
                                       : parse_v1(in, out, err);
    if (agrees(in, signature, SIGNATURE_LEN))
        return parse_v2(in, out, err);
    return refuse(err, "no PROXY header");
}
