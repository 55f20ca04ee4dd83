#include "relay/net/dns_channel.h"

#include "relay/base/buf.h"
#include "relay/base/mem.h"
#include "relay/net/timer.h"

#include <ares.h>
#include <stdlib.h>
#include <sys/queue.h>

enum {
    UDP_SIZE = 1232, /* as the OPT record of dns_query_write tells */
    TRY_MIN_MS = 50,
    TRY_MAX_MS = 5000,
};

/* A socket of c-ares, watched for it. */
struct watch {
    struct net_dns_channel *channel;
    uv_poll_t poll;
    ares_socket_t fd;
    LIST_ENTRY(watch) link;
};

struct net_dns_channel {
    uv_loop_t *loop;
    ares_channel ares;
    size_t server_count;
    uint64_t timeout_ms;
    LIST_HEAD(, watch) watches;
    struct net_timer *retry;
};

/* One message under way, as c-ares holds it. */
struct errand {
    struct net_dns_channel *channel;
    net_dns_carried_fn *carried;
    void *ctx;
};

static void
set_retry(struct net_dns_channel *ch)
{
    struct timeval tv;

    if (!ares_timeout(ch->ares, NULL, &tv)) {
        net_timer_stop(ch->retry);
        return;
    }
    net_timer_set(ch->retry,
                  (uint64_t)tv.tv_sec * 1000 + (uint64_t)tv.tv_usec / 1000 + 1);
}

static void
process(struct net_dns_channel *ch, ares_socket_t readable,
        ares_socket_t writable)
{
    ares_process_fd(ch->ares, readable, writable);
    set_retry(ch);
}

static void
time_to_retry(void *ctx)
{
    process(ctx, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
}

static void
socket_is_ready(uv_poll_t *poll, int status, int events)
{
    struct watch *w = poll->data;
    int both = UV_READABLE | UV_WRITABLE;
    ares_socket_t fd = w->fd;

    /* c-ares finds out itself what is wrong with the socket. */
    if (status < 0)
        events = both;
    process(w->channel, events & UV_READABLE ? fd : ARES_SOCKET_BAD,
            events & UV_WRITABLE ? fd : ARES_SOCKET_BAD);
}

static void
watch_closed(uv_handle_t *poll)
{
    free(poll->data);
}

static struct watch *
find_watch(struct net_dns_channel *ch, ares_socket_t fd)
{
    struct watch *w = LIST_FIRST(&ch->watches);

    while (w && w->fd != fd)
        w = LIST_NEXT(w, link);
    return w;
}

static struct watch *
new_watch(struct net_dns_channel *ch, ares_socket_t fd)
{
    struct watch *w = mem_new(struct watch);

    if (uv_poll_init(ch->loop, &w->poll, fd) != 0) {
        free(w);
        return NULL;
    }
    w->channel = ch;
    w->fd = fd;
    w->poll.data = w;
    LIST_INSERT_HEAD(&ch->watches, w, link);
    return w;
}

/* c-ares tells what it waits for; neither: it is about to close the socket. */
static void
socket_changed(void *data, ares_socket_t fd, int readable, int writable)
{
    struct net_dns_channel *ch = data;
    struct watch *w = find_watch(ch, fd);
    int events = (readable ? UV_READABLE : 0) | (writable ? UV_WRITABLE : 0);

    if (!w && events)
        w = new_watch(ch, fd);
    if (!w)
        return;
    if (events) {
        (void)uv_poll_start(&w->poll, events, socket_is_ready);
        return;
    }
    LIST_REMOVE(w, link);
    uv_close((uv_handle_t *)&w->poll, watch_closed);
}

/* With one server its own word counts, SERVFAIL included; with several c-ares
 * goes on to the next one and tells only that none was willing. */
static bool
open_ares(struct net_dns_channel *ch, struct err *err)
{
    uint64_t tries = 3 * ch->server_count; /* one, and one of twice the time */
    uint64_t try_ms = ch->timeout_ms / tries;
    struct ares_options o = {
        .flags = ARES_FLAG_EDNS | ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES |
                 (ch->server_count == 1 ? ARES_FLAG_NOCHECKRESP : 0),
        .timeout = try_ms < TRY_MIN_MS   ? TRY_MIN_MS
                   : try_ms > TRY_MAX_MS ? TRY_MAX_MS
                                         : (int)try_ms,
        .tries = NET_DNS_TRIES,
        .ednspsz = UDP_SIZE,
        .sock_state_cb = socket_changed,
        .sock_state_cb_data = ch,
    };
    /* ares_library_init does nothing here but count, and counts without a
     * lock. */
    int status =
        ares_init_options(&ch->ares, &o,
                          ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES |
                              ARES_OPT_EDNSPSZ | ARES_OPT_SOCK_STATE_CB);

    if (status != ARES_SUCCESS)
        return err_set(err, ERR_SYSTEM, "DNS: %s", ares_strerror(status));
    return true;
}

static bool
set_servers(struct net_dns_channel *ch, const struct net_dns_config *config,
            struct err *err)
{
    struct buf text = {0};
    char one[ADDR_TEXT_SIZE];
    int status;

    for (size_t i = 0; i < config->server_count; i++)
        buf_printf(&text, "%s%s", i ? "," : "",
                   addr_text_port(&config->servers[i], one));
    status = ares_set_servers_ports_csv(ch->ares, buf_text(&text));
    if (status != ARES_SUCCESS)
        err_set(err, ERR_INPUT, "DNS servers %.150s: %s", buf_text(&text),
                ares_strerror(status));
    buf_free(&text);
    return status == ARES_SUCCESS;
}

static bool
is_local(const struct ares_addr_port_node *n)
{
    struct addr a =
        n->family == AF_INET
            ? addr_from_v4(n->addr.addr4, 53)
            : addr_from_v6(*(const struct in6_addr *)&n->addr.addr6, 53);

    return addr_is_loopback(&a);
}

/* How many servers /etc/resolv.conf names, or c-ares assumes, and how many of
 * them are on this machine. */
static bool
count_system_servers(size_t *count, size_t *local, struct err *err)
{
    struct ares_addr_port_node *first = NULL;
    ares_channel channel;
    int status = ares_init(&channel);

    if (status != ARES_SUCCESS)
        return err_set(err, ERR_SYSTEM, "/etc/resolv.conf: %s",
                       ares_strerror(status));
    *count = *local = 0;
    if (ares_get_servers_ports(channel, &first) == ARES_SUCCESS)
        for (struct ares_addr_port_node *n = first; n; n = n->next) {
            ++*count;
            *local += is_local(n);
        }
    ares_free_data(first);
    ares_destroy(channel);
    if (*count == 0)
        return err_set(err, ERR_MISSING, "/etc/resolv.conf: no server");
    return true;
}

bool
net_dns_is_local(const struct net_dns_config *config)
{
    size_t count, local;
    struct err err;

    for (size_t i = 0; i < config->server_count; i++)
        if (!addr_is_loopback(&config->servers[i]))
            return false;
    return config->server_count > 0 ||
           (count_system_servers(&count, &local, &err) && local == count);
}

struct net_dns_channel *
net_dns_channel_open(uv_loop_t *loop, const struct net_dns_config *config,
                     struct err *err)
{
    struct net_dns_channel *ch = mem_new(struct net_dns_channel);
    size_t local;

    ch->loop = loop;
    ch->server_count = config->server_count;
    ch->timeout_ms = (uint64_t)config->timeout_ms;
    LIST_INIT(&ch->watches);
    ch->retry = net_timer_new(loop, time_to_retry, ch);
    if ((ch->server_count == 0 &&
         !count_system_servers(&ch->server_count, &local, err)) ||
        !open_ares(ch, err) ||
        (config->server_count > 0 && !set_servers(ch, config, err)))
        net_dns_channel_close(&ch);
    return ch;
}

void
net_dns_channel_close(struct net_dns_channel **slot)
{
    struct net_dns_channel *ch = *slot;

    if (!ch)
        return;
    *slot = NULL;
    if (ch->ares)
        ares_destroy(ch->ares);
    net_timer_free(&ch->retry);
    free(ch);
}

static const char *
reason(const struct net_dns_channel *ch, int status)
{
    if (status == ARES_ETIMEOUT)
        return "timeout";
    if (status == ARES_ECONNREFUSED && ch->server_count == 1)
        return "the DNS server can't be reached";
    if (status == ARES_ECONNREFUSED || status == ARES_ESERVFAIL)
        return "no DNS server gave an answer";
    return ares_strerror(status);
}

static void
carried(void *arg, int status, int timeouts, unsigned char *message, int len)
{
    struct errand *e = arg;
    net_dns_carried_fn *tell = e->carried;
    struct net_dns_channel *ch = e->channel;
    void *ctx = e->ctx;

    (void)timeouts;
    free(e);
    if (message && len > 0)
        tell(ctx, message, (size_t)len, NULL);
    else
        tell(ctx, NULL, 0, reason(ch, status));
}

void
net_dns_channel_send(struct net_dns_channel *ch, const uint8_t *query,
                     size_t len, net_dns_carried_fn *tell, void *ctx)
{
    struct errand *e = mem_new(struct errand);

    e->channel = ch;
    e->carried = tell;
    e->ctx = ctx;
    ares_send(ch->ares, query, (int)len, carried, e);
    set_retry(ch);
}
