#include "relay/guard/gateway.h"

#include "relay/config/raw.h"

#include <ifaddrs.h>
#include <inttypes.h>
#include <net/route.h>
#include <stdio.h>
#include <unistd.h>

enum {
    FILE_MAX = 1024 * 1024, /* a host may have very many routes */
    FIELDS = 10,
};

/* Both files are columns between spaces or tabs. */
static size_t
cut_fields(struct slice line, struct slice out[FIELDS])
{
    size_t n = 0;

    while (n < FIELDS) {
        size_t len = 0;

        line = slice_trim(line);
        if (line.len == 0)
            break;
        while (len < line.len && line.p[len] != ' ' && line.p[len] != '\t')
            len++;
        out[n++] = slice_first(line, len);
        line = slice_from(line, len);
    }
    return n;
}

static bool
read_hex(struct slice text, unsigned char *out, size_t octets)
{
    if (text.len != octets * 2)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        const char *digits = "0123456789abcdef";
        const char *at = strchr(digits, text.p[i] | 0x20);

        if (!at || text.p[i] == '\0')
            return false;
        out[i / 2] = (unsigned char)(out[i / 2] << 4 | (at - digits));
    }
    return true;
}

static bool
is_zero(const unsigned char *p, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (p[i])
            return false;
    return true;
}

static void
name(struct gateway *g, struct slice interface)
{
    (void)snprintf(g->interface, sizeof(g->interface), "%.*s",
                   (int)interface.len, interface.p);
}

/* interface, destination, gateway, ..., mask; numbers as the machine has them
 * in memory. */
static bool
read_ipv4(const struct slice *field, size_t count, struct gateway *out)
{
    unsigned char to[4] = {0}, via[4] = {0}, mask[4] = {0};
    struct in_addr a;
    uint32_t word = 0;

    if (count < 8 || !read_hex(field[1], to, 4) ||
        !read_hex(field[2], via, 4) || !read_hex(field[7], mask, 4) ||
        !is_zero(to, 4) || !is_zero(mask, 4) || is_zero(via, 4))
        return false;
    for (size_t i = 0; i < 4; i++)
        word = word << 8 | via[i];
    a.s_addr = word; /* it was printed as a number */
    out->addr = addr_from_v4(a, 0);
    name(out, field[0]);
    return true;
}

/* destination, its length, source, its length, gateway, ..., interface */
static bool
read_ipv6(const struct slice *field, size_t count, struct gateway *out)
{
    unsigned char to[16] = {0}, len[1] = {0};
    struct in6_addr via = {0};

    if (count < 10 || !read_hex(field[0], to, 16) ||
        !read_hex(field[1], len, 1) || !read_hex(field[4], via.s6_addr, 16) ||
        !is_zero(to, 16) || len[0] != 0 || is_zero(via.s6_addr, 16))
        return false;
    out->addr = addr_from_v6(via, 0);
    name(out, field[9]);
    return true;
}

typedef bool read_fn(const struct slice *field, size_t count,
                     struct gateway *out);

static size_t
read_file(const char *file, read_fn *read, struct gateway *out, size_t most)
{
    scoped(buf_free) struct buf text = {0};
    struct slice rest, field[FIELDS];
    struct err err;
    size_t n = 0;

    if (!file || !config_read_text(file, FILE_MAX, &text, &err))
        return 0;
    rest = buf_slice(&text);
    while (rest.len > 0 && n < most) {
        size_t count = cut_fields(slice_cut(&rest, '\n'), field);

        out[n] = (struct gateway){.is_bridge = false};
        n += read(field, count, &out[n]);
    }
    return n;
}

size_t
gateway_routes(const char *route_file, const char *ipv6_route_file,
               struct gateway out[GATEWAY_MAX])
{
    size_t n = read_file(route_file, read_ipv4, out, GATEWAY_MAX);

    return n + read_file(ipv6_route_file, read_ipv6, out + n, GATEWAY_MAX - n);
}

static bool
is_bridge(const char *interface)
{
    char path[120];

    (void)snprintf(path, sizeof(path), "/sys/class/net/%.32s/bridge",
                   interface);
    return access(path, F_OK) == 0;
}

static size_t
find_bridges(struct gateway *out, size_t most)
{
    struct ifaddrs *all = NULL;
    size_t n = 0;

    if (getifaddrs(&all) != 0)
        return 0;
    for (const struct ifaddrs *i = all; i && n < most; i = i->ifa_next) {
        if (!i->ifa_addr ||
            (i->ifa_addr->sa_family != AF_INET &&
             i->ifa_addr->sa_family != AF_INET6) ||
            !is_bridge(i->ifa_name))
            continue;
        out[n] = (struct gateway){.is_bridge = true};
        out[n].addr = addr_from_sockaddr(i->ifa_addr);
        name(&out[n++], slice_of(i->ifa_name));
    }
    freeifaddrs(all);
    return n;
}

struct warning {
    struct log *log;
    size_t count;
};

static void
warn(void *ctx, const struct addr_net *net, const struct gateway *g)
{
    struct warning *w = ctx;
    char base[ADDR_TEXT_SIZE], text[ADDR_TEXT_SIZE], network[100];
    struct log_line line;

    (void)snprintf(network, sizeof(network), "%s/%u",
                   addr_text(&net->base, base), net->bits);
    w->count++;
    log_begin(&line, w->log, LOG_LEVEL_WARNING, "access.gateway");
    log_text(&line, "network", network);
    log_text(&line, "gateway", addr_text(&g->addr, text));
    log_text(&line, "interface", g->interface);
    log_text(&line, "reason",
             g->is_bridge
                 ? "access.networks holds the address of a bridge: a stranger "
                   "who comes through NAT looks like it, and may relay"
                 : "access.networks holds the default gateway: a stranger who "
                   "comes through NAT looks like it, and may relay");
    log_end(&line);
}

void
gateway_each(const struct config *config, gateway_fn *each, void *ctx)
{
    const struct config_networks *n = &config->access.networks;
    struct gateway found[GATEWAY_MAX];
    size_t count =
        gateway_routes("/proc/net/route", "/proc/net/ipv6_route", found);

    count += find_bridges(found + count, GATEWAY_MAX - count);
    for (size_t i = 0; i < n->count; i++)
        for (size_t j = 0; j < count; j++)
            if (addr_is_in(&found[j].addr, &n->net[i]))
                each(ctx, &n->net[i], &found[j]);
}

size_t
gateway_warn(struct log *log, const struct config *config)
{
    struct warning w = {.log = log};

    gateway_each(config, warn, &w);
    return w.count;
}
