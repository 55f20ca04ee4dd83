#include "relay/daemon/doors.h"

#include "relay/base/mem.h"
#include "relay/daemon/arrival.h"
#include "relay/daemon/worker.h"
#include "relay/net/listen.h"

#include <stdlib.h>

enum { SAY_EVERY_MS = 1000 }; /* a flood of knocks is no flood of lines */

struct door {
    struct doors *doors;
    struct net_listen *listen;
    char *address;
    const char *name; /* of the listener, in the configuration */
    uint64_t turned_away;
    int64_t said_ms; /* when that was logged last */
};

static const struct config_listener *
listener_of(const struct door *door)
{
    return config_listener_find(door->doors->relay->config, door->name);
}

static void
log_turned_away(struct door *door, const struct addr *peer, const char *why)
{
    int64_t now_ms = net_clock_steady();
    char text[ADDR_TEXT_SIZE];
    struct log_line line;

    door->turned_away++;
    if (door->said_ms && now_ms - door->said_ms < SAY_EVERY_MS)
        return;
    log_begin(&line, door->doors->relay->log, LOG_LEVEL_WARNING,
              "session.reject");
    log_text(&line, "listener", door->name);
    log_text(&line, "client_ip", addr_text(peer, text));
    log_int(&line, "code", 421);
    log_text(&line, "reason", why);
    log_int(&line, "count", (int64_t)door->turned_away);
    log_end(&line);
    door->turned_away = 0;
    door->said_ms = now_ms;
}

static const char *
let_in(struct gate *gate, const struct config_listener *l,
       const struct addr *peer, struct gate_pass *pass)
{
    struct gate_limits limits = arrival_limits(l);
    const char *why = gate_enter(gate, l->name, &limits, pass);

    if (why)
        return why;
    if (!arrival_is_proxy(l, peer)) /* else the client is yet to be named */
        why = gate_admit(gate, peer, &limits, net_clock_steady(), pass);
    if (why)
        gate_leave(gate, pass);
    return why;
}

static void
accepted(void *ctx, int fd, const struct addr *peer)
{
    struct door *door = ctx;
    struct relay *relay = door->doors->relay;
    struct doors *doors = door->doors;
    const struct config_listener *l = listener_of(door);
    struct gate_pass pass = {0};
    const char *why = let_in(relay->gate, l, peer, &pass);

    if (why) {
        arrival_turn_away(fd, l, why);
        log_turned_away(door, peer, why);
        return;
    }
    metrics_count(relay->metrics, METRICS_CONNECTIONS_IN, door->name);
    worker_accept(relay->workers[doors->turn++ % relay->worker_count], fd, peer,
                  &pass);
}

static void
close_all(struct door *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        net_listen_close(&list[i].listen);
        free(list[i].address);
    }
    free(list);
}

static struct net_listen *
take_open(struct doors *d, const char *address)
{
    for (size_t i = 0; i < d->count; i++)
        if (d->list[i].listen && strcmp(d->list[i].address, address) == 0)
            return take(&d->list[i].listen);
    return NULL;
}

static bool
is_open(const struct doors *d, const char *address)
{
    for (size_t i = 0; i < d->count; i++)
        if (strcmp(d->list[i].address, address) == 0)
            return true;
    return false;
}

static bool
open_one(struct doors *d, struct door *door,
         const struct config_listener *listener, struct err *err)
{
    door->doors = d;
    door->address = mem_text(listener->address);
    door->name = listener->name;
    if (is_open(d, door->address))
        return true; /* it changes hands below */
    door->listen = net_listen_open(&d->relay->loop, door->address,
                                   listener->socket_mode, accepted, door, err);
    return door->listen || err_in(err, "listener \"%s\"", listener->name);
}

bool
doors_open(struct doors *d, const struct config *c, struct err *err)
{
    struct door *list = mem_array(struct door, c->listener_count);

    for (size_t i = 0; i < c->listener_count; i++) {
        if (!open_one(d, &list[i], &c->listener[i], err)) {
            close_all(list, i + 1);
            return false;
        }
    }
    for (size_t i = 0; i < c->listener_count; i++)
        if (!list[i].listen) {
            list[i].listen = take_open(d, list[i].address);
            net_listen_own(list[i].listen, accepted, &list[i]);
        }
    close_all(d->list, d->count);
    d->list = list;
    d->count = c->listener_count;
    return true;
}

void
doors_close(struct doors *d)
{
    close_all(d->list, d->count);
    d->list = NULL;
    d->count = 0;
}

const char *
doors_where(const struct doors *d)
{
    return d->count ? net_listen_where(d->list[0].listen) : NULL;
}
