#include "relay/daemon/arrival.h"

#include "relay/base/mem.h"
#include "relay/daemon/receive.h"
#include "relay/net/proxy_read.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct arrival {
    struct worker *worker;
    struct arrival *next, **at; /* of worker->arrivals */
    struct net_proxy_read *header;
    struct addr peer; /* the proxy */
    struct gate_pass pass;
};

bool
arrival_is_proxy(const struct config_listener *l, const struct addr *peer)
{
    for (size_t i = 0; i < l->proxy_from.count; i++) {
        const struct addr_net *net = &l->proxy_from.net[i];

        if (peer->any.sa_family == AF_UNSPEC
                ? net->base.any.sa_family == AF_UNSPEC
                : addr_is_in(peer, net))
            return true;
    }
    return false;
}

struct gate_limits
arrival_limits(const struct config_listener *l)
{
    return (struct gate_limits){
        .connections = l->connections,
        .connections_per_client = l->connections_per_client,
        .rate = l->connection_rate,
    };
}

static void
log_reject(struct relay *relay, const struct config_listener *l,
           const struct addr *client, const char *why)
{
    unsigned count = gate_refused(relay->gate, net_clock_steady());
    char text[ADDR_TEXT_SIZE];
    struct log_line line;

    if (count == 0)
        return;
    log_begin(&line, relay->log, LOG_LEVEL_WARNING, "session.reject");
    log_text(&line, "listener", l->name);
    log_text(&line, "client_ip", addr_text(client, text));
    log_int(&line, "code", 421);
    log_text(&line, "reason", why);
    log_int(&line, "count", count);
    log_end(&line);
}

/* Clear text would mean nothing to a client that begins with TLS. */
void
arrival_turn_away(struct relay *relay, int fd, const struct config_listener *l,
                  const struct addr *client, const char *why)
{
    struct mail_status status = {0};
    char text[200];
    int len = snprintf(text, sizeof(text),
                       "421 4.7.0 %.100s, try again later\r\n", why);

    if (l->tls != CONFIG_TLS_IMPLICIT)
        (void)send(fd, text, (size_t)len, MSG_DONTWAIT | MSG_NOSIGNAL);
    (void)close(fd);
    log_reject(relay, l, client, why);
    mail_status_set(&status, 421, "4.7.0", "%s", why);
    metrics_refuse(relay->metrics, &status);
}

static void
unlink_arrival(struct arrival *a)
{
    *a->at = a->next;
    if (a->next)
        a->next->at = a->at;
}

/* Of a client that the proxy does not name nobody must think that it is a
 * neighbour, as the proxy may be. */
static struct addr
client_of(const struct arrival *a, const struct net_proxy *header)
{
    switch (header->kind) {
    case NET_PROXY_LOCAL:
        return a->peer;
    case NET_PROXY_CLIENT:
        return header->client;
    case NET_PROXY_UNKNOWN:
        break;
    }
    return addr_from_v4((struct in_addr){0}, 0);
}

/* NULL: it became a session. */
static const char *
admit(struct arrival *a, int fd, const struct config_listener *l,
      const struct addr *client)
{
    struct gate_limits limits = arrival_limits(l);
    const char *why = gate_admit(a->worker->relay->gate, client, &limits,
                                 net_clock_steady(), &a->pass);

    if (!why)
        receive_start(a->worker, fd, client, l, &a->pass);
    return why;
}

static void
header_came(void *ctx, int fd, const struct net_proxy *header,
            const struct err *err)
{
    struct arrival *a = ctx;
    const struct config_listener *l =
        config_listener_find(a->worker->config, a->pass.listener);
    struct addr client = header ? client_of(a, header) : a->peer;
    const char *why = err ? err->text : l ? admit(a, fd, l, &client) : "closed";

    unlink_arrival(a);
    if (why)
        gate_leave(a->worker->relay->gate, &a->pass);
    if (why && l)
        arrival_turn_away(a->worker->relay, fd, l, &client, why);
    else if (why)
        own_close(&fd);
    free(a);
}

void
arrival_start(struct worker *w, int fd, const struct addr *peer,
              const struct config_listener *l, const struct gate_pass *pass)
{
    struct arrival *a;

    if (!arrival_is_proxy(l, peer)) {
        receive_start(w, fd, peer, l, pass);
        return;
    }
    a = mem_new(struct arrival);
    a->worker = w;
    a->peer = *peer;
    a->pass = *pass;
    a->next = w->arrivals;
    a->at = &w->arrivals;
    if (a->next)
        a->next->at = &a->next;
    w->arrivals = a;
    net_proxy_read_start(&a->header, &w->loop, fd, ARRIVAL_HEADER_MS,
                         header_came, a);
}

void
arrival_cut(struct worker *w)
{
    while (w->arrivals) {
        struct arrival *a = w->arrivals;

        unlink_arrival(a);
        net_proxy_read_cancel(&a->header);
        gate_leave(w->relay->gate, &a->pass);
        free(a);
    }
}
