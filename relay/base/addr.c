#include "relay/base/addr.h"

#include <arpa/inet.h>
#include <stdio.h>

/* The first bytes of a network, for the table of special ones. */
struct prefix {
    uint8_t bytes[16];
    unsigned bits;
};

static const uint8_t *
host_bytes(const struct addr *a)
{
    return a->any.sa_family == AF_INET ? (const uint8_t *)&a->v4.sin_addr
                                       : a->v6.sin6_addr.s6_addr;
}

static bool
has_prefix(const uint8_t *host, const uint8_t *prefix, unsigned bits)
{
    unsigned whole = bits / 8;
    unsigned mask = 0xFF00U >> bits % 8 & 0xFFU;

    return memcmp(host, prefix, whole) == 0 &&
           (mask == 0 || ((host[whole] ^ prefix[whole]) & mask) == 0);
}

static bool
is_in_any(const uint8_t *host, const struct prefix *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (has_prefix(host, list[i].bytes, list[i].bits))
            return true;
    return false;
}

struct addr
addr_from_v4(struct in_addr a, unsigned port)
{
    return (struct addr){.v4 = {.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)port),
                                .sin_addr = a}};
}

struct addr
addr_from_v6(struct in6_addr a, unsigned port)
{
    if (IN6_IS_ADDR_V4MAPPED(&a)) {
        struct in_addr v4;

        memcpy(&v4, a.s6_addr + 12, sizeof(v4));
        return addr_from_v4(v4, port);
    }
    return (struct addr){.v6 = {.sin6_family = AF_INET6,
                                .sin6_port = htons((uint16_t)port),
                                .sin6_addr = a}};
}

struct addr
addr_from_sockaddr(const struct sockaddr *sa)
{
    struct addr a = {.any = {.sa_family = AF_UNSPEC}};
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;

    if (sa->sa_family == AF_INET) {
        memcpy(&v4, sa, sizeof(v4));
        return addr_from_v4(v4.sin_addr, ntohs(v4.sin_port));
    }
    if (sa->sa_family == AF_INET6) {
        memcpy(&v6, sa, sizeof(v6));
        a = addr_from_v6(v6.sin6_addr, ntohs(v6.sin6_port));
        if (a.any.sa_family == AF_INET6)
            a.v6.sin6_scope_id = v6.sin6_scope_id;
    }
    return a;
}

static bool
parse_host(struct slice text, struct addr *out)
{
    char copy[INET6_ADDRSTRLEN];
    struct in_addr v4;
    struct in6_addr v6;

    if (text.len == 0 || text.len >= sizeof(copy) ||
        memchr(text.p, '\0', text.len))
        return false;
    memcpy(copy, text.p, text.len);
    copy[text.len] = '\0';
    if (inet_pton(AF_INET, copy, &v4) == 1)
        *out = addr_from_v4(v4, 0);
    else if (inet_pton(AF_INET6, copy, &v6) == 1)
        *out = addr_from_v6(v6, 0);
    else
        return false;
    return true;
}

static bool
is_bracketed(struct slice text)
{
    return text.len > 2 && text.p[0] == '[' && text.p[text.len - 1] == ']' &&
           memchr(text.p, ':', text.len);
}

bool
addr_parse(struct slice text, struct addr *out, struct err *err)
{
    struct slice host =
        is_bracketed(text) ? (struct slice){text.p + 1, text.len - 2} : text;

    return parse_host(host, out) ||
           err_set(err, ERR_INPUT, "not an IP address");
}

bool
addr_parse_port(struct slice text, unsigned default_port, struct addr *out,
                struct err *err)
{
    struct slice host = text, port = {0};
    const char *colon = text.len ? memrchr(text.p, ':', text.len) : NULL;
    const char *bracket = text.len ? memrchr(text.p, ']', text.len) : NULL;
    /* Without brackets, more than one colon is an IPv6 address. */
    bool is_bare_v6 =
        !bracket && colon && memchr(text.p, ':', (size_t)(colon - text.p));
    unsigned long long number = default_port;

    if (colon && !is_bare_v6 && (!bracket || colon > bracket)) {
        host = slice_first(text, (size_t)(colon - text.p));
        port = slice_from(text, host.len + 1);
        if (!slice_number(port, 65535, &number) || number == 0)
            return err_set(err, ERR_INPUT, "a port is 1 to 65535");
    }
    if (number == 0)
        return err_set(err, ERR_INPUT, "a port is missing");
    if (!addr_parse(host, out, err))
        return false;
    addr_set_port(out, (unsigned)number);
    return true;
}

static unsigned
family_bits(const struct addr *a)
{
    return a->any.sa_family == AF_INET ? 32 : 128;
}

/* Clears the bits behind the prefix; false when there were none to clear. */
static bool
clear_tail(struct addr_net *net)
{
    uint8_t *host = net->base.any.sa_family == AF_INET
                        ? (uint8_t *)&net->base.v4.sin_addr
                        : net->base.v6.sin6_addr.s6_addr;
    bool found = false;

    for (unsigned i = net->bits; i < family_bits(&net->base); i++) {
        uint8_t bit = (uint8_t)(0x80U >> i % 8);

        found = found || (host[i / 8] & bit);
        host[i / 8] &= (uint8_t)~bit;
    }
    return found;
}

bool
addr_net_parse(struct slice text, struct addr_net *out, struct err *err)
{
    struct slice rest = text;
    struct slice host = slice_cut(&rest, '/');
    bool has_bits = host.len < text.len;
    char meant[ADDR_TEXT_SIZE];
    unsigned long long bits;

    if (!addr_parse(host, &out->base, err))
        return false;
    out->bits = family_bits(&out->base);
    if (!has_bits)
        return true;
    if (!slice_number(rest, 128, &bits))
        return err_set(err, ERR_INPUT, "the length of a prefix is a number");
    /* An IPv4-mapped network is the IPv4 network behind it. */
    if (out->base.any.sa_family == AF_INET && memchr(host.p, ':', host.len)) {
        if (bits < 96)
            return err_set(err, ERR_INPUT,
                           "an IPv4-mapped network has 96 bits or more");
        bits -= 96;
    }
    if (bits > out->bits)
        return err_set(err, ERR_INPUT, "the prefix is longer than the address");
    out->bits = (unsigned)bits;
    if (clear_tail(out))
        return err_set(err, ERR_INPUT,
                       "bits behind the prefix are set: is %s/%u meant?",
                       addr_text(&out->base, meant), out->bits);
    return true;
}

unsigned
addr_port(const struct addr *a)
{
    if (a->any.sa_family == AF_INET)
        return ntohs(a->v4.sin_port);
    return a->any.sa_family == AF_INET6 ? ntohs(a->v6.sin6_port) : 0;
}

void
addr_set_port(struct addr *a, unsigned port)
{
    if (a->any.sa_family == AF_INET)
        a->v4.sin_port = htons((uint16_t)port);
    else if (a->any.sa_family == AF_INET6)
        a->v6.sin6_port = htons((uint16_t)port);
}

socklen_t
addr_len(const struct addr *a)
{
    return a->any.sa_family == AF_INET ? sizeof(a->v4) : sizeof(a->v6);
}

bool
addr_is_same_host(const struct addr *a, const struct addr *b)
{
    struct addr_net net = {*b, family_bits(b)};

    return addr_is_in(a, &net) && (a->any.sa_family != AF_INET6 ||
                                   a->v6.sin6_scope_id == b->v6.sin6_scope_id);
}

bool
addr_is_in(const struct addr *a, const struct addr_net *net)
{
    return a->any.sa_family != AF_UNSPEC &&
           a->any.sa_family == net->base.any.sa_family &&
           has_prefix(host_bytes(a), host_bytes(&net->base), net->bits);
}

bool
addr_is_loopback(const struct addr *a)
{
    if (a->any.sa_family == AF_INET)
        return host_bytes(a)[0] == 127;
    return a->any.sa_family == AF_INET6 &&
           IN6_IS_ADDR_LOOPBACK(&a->v6.sin6_addr);
}

static bool
is_special_v4(const uint8_t *host)
{
    static const struct prefix list[] = {
        {{0}, 8},
        {{10}, 8},
        {{100, 64}, 10},
        {{127}, 8},
        {{169, 254}, 16},
        {{172, 16}, 12},
        {{192, 0, 0}, 24},
        {{192, 0, 2}, 24},
        {{192, 88, 99}, 24},
        {{192, 168}, 16},
        {{198, 18}, 15},
        {{198, 51, 100}, 24},
        {{203, 0, 113}, 24},
        {{224}, 4},
        {{240}, 4},
    };

    return is_in_any(host, list, sizeof(list) / sizeof(list[0]));
}

/* Outside 2000::/3 only the well-known prefix of NAT64 leads to the public
 * Internet; it and 6to4 carry an IPv4 address, which decides. */
static bool
is_special_v6(const uint8_t *host)
{
    static const struct prefix nat64 = {{0, 0x64, 0xFF, 0x9B}, 96};
    static const struct prefix sixtofour = {{0x20, 0x02}, 16};
    static const struct prefix global = {{0x20}, 3};
    static const struct prefix list[] = {
        {{0x20, 0x01}, 23},             /* protocol assignments, Teredo */
        {{0x20, 0x01, 0x0D, 0xB8}, 32}, /* documentation */
        {{0x3F, 0xFF}, 20},             /* documentation */
    };

    if (is_in_any(host, &nat64, 1))
        return is_special_v4(host + 12);
    if (is_in_any(host, &sixtofour, 1))
        return is_special_v4(host + 2);
    return !is_in_any(host, &global, 1) ||
           is_in_any(host, list, sizeof(list) / sizeof(list[0]));
}

bool
addr_is_special(const struct addr *a)
{
    if (a->any.sa_family == AF_INET)
        return is_special_v4(host_bytes(a));
    return a->any.sa_family != AF_INET6 || is_special_v6(host_bytes(a));
}

const char *
addr_text(const struct addr *a, char out[ADDR_TEXT_SIZE])
{
    size_t len;

    out[0] = '\0';
    if (a->any.sa_family == AF_UNSPEC ||
        !inet_ntop(a->any.sa_family, host_bytes(a), out, ADDR_TEXT_SIZE))
        return out;
    len = strlen(out);
    if (a->any.sa_family == AF_INET6 && a->v6.sin6_scope_id != 0)
        (void)snprintf(out + len, ADDR_TEXT_SIZE - len, "%%%u",
                       a->v6.sin6_scope_id);
    return out;
}

const char *
addr_text_port(const struct addr *a, char out[ADDR_TEXT_SIZE])
{
    char host[ADDR_TEXT_SIZE];
    bool is_v6 = a->any.sa_family == AF_INET6;

    (void)snprintf(out, ADDR_TEXT_SIZE, "%s%.50s%s:%u", is_v6 ? "[" : "",
                   addr_text(a, host), is_v6 ? "]" : "", addr_port(a));
    return out;
}

const char *
addr_reverse(const struct addr *a, char out[ADDR_REVERSE_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    char *p = out;

    if (a->any.sa_family == AF_INET) {
        const unsigned char *n = (const unsigned char *)&a->v4.sin_addr;

        (void)snprintf(out, ADDR_REVERSE_SIZE, "%u.%u.%u.%u.in-addr.arpa", n[3],
                       n[2], n[1], n[0]);
        return out;
    }
    for (int i = 15; i >= 0; i--) {
        unsigned char octet = a->v6.sin6_addr.s6_addr[i];

        *p++ = digits[octet & 15];
        *p++ = '.';
        *p++ = digits[octet >> 4];
        *p++ = '.';
    }
    memcpy(p, "ip6.arpa", sizeof("ip6.arpa"));
    return out;
}
