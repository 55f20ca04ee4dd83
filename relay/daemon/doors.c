#include "relay/daemon/doors.h"

#include "relay/base/mem.h"
#include "relay/daemon/arrival.h"
#include "relay/daemon/worker.h"
#include "relay/net/listen.h"

#include <stdlib.h>

struct door {
    struct doors *doors;
    struct net_listen *listen;
    char *address;
    size_t part;      /* which of the sockets passed for that address */
    const char *name; /* of the listener, in the configuration */
};

static const struct config_listener *
listener_of(const struct door *door)
{
    return config_listener_find(door->doors->relay->config, door->name);
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
        arrival_turn_away(relay, fd, l, peer, why);
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

static struct door *
find_open(const struct doors *d, const struct door *like)
{
    for (size_t i = 0; i < d->count; i++)
        if (d->list[i].part == like->part &&
            strcmp(d->list[i].address, like->address) == 0)
            return &d->list[i];
    return NULL;
}

static bool
fail_passed(const struct doors *d, const char *name, struct err *err)
{
    scoped(buf_free) struct buf known = {0};

    for (size_t i = 0; i < d->passed.count; i++)
        buf_printf(&known, "%s \"%s\"", i ? "," : "", d->passed.list[i].name);
    if (known.len == 0)
        return err_set(err, ERR_INPUT, "systemd has passed no socket");
    return err_set(err, ERR_INPUT,
                   "systemd has passed no socket \"%s\", but%.*s", name,
                   (int)known.len, known.p);
}

static struct net_listen *
listen_at(struct doors *d, struct door *door,
          const struct config_listener *listener, struct err *err)
{
    const char *where = door->address;
    uv_loop_t *loop = &d->relay->loop;

    if (net_passed_count(&d->passed, where) == 0)
        return net_listen_open(loop, where, listener->socket_mode, accepted,
                               door, err);
    return net_listen_adopt(loop,
                            net_passed_take(&d->passed, where, door->part),
                            where, accepted, door, err);
}

static bool
open_one(struct doors *d, struct door *door,
         const struct config_listener *listener, size_t part, struct err *err)
{
    door->doors = d;
    door->address = mem_text(listener->address);
    door->part = part;
    door->name = listener->name;
    if (find_open(d, door))
        return true; /* it changes hands below */
    door->listen = listen_at(d, door, listener, err);
    return door->listen != NULL;
}

/* All of one listener, behind the *count that there are. */
static bool
open_listener(struct doors *d, const struct config_listener *l,
              struct door *list, size_t *count, struct err *err)
{
    const char *name = net_passed_name(l->address);
    size_t parts = net_passed_count(&d->passed, l->address);

    if (name && parts == 0)
        return fail_passed(d, name, err);
    for (size_t i = 0; i < (parts ? parts : 1); i++)
        if (!open_one(d, &list[(*count)++], l, i, err))
            return false;
    return true;
}

bool
doors_open(struct doors *d, const struct config *c, struct err *err)
{
    struct door *list =
        mem_array(struct door, c->listener_count + d->passed.count);
    size_t count = 0;

    for (size_t i = 0; i < c->listener_count; i++)
        if (!open_listener(d, &c->listener[i], list, &count, err)) {
            close_all(list, count);
            return err_in(err, "listener \"%s\"", c->listener[i].name);
        }
    for (size_t i = 0; i < count; i++)
        if (!list[i].listen) {
            list[i].listen = take(&find_open(d, &list[i])->listen);
            net_listen_own(list[i].listen, accepted, &list[i]);
        }
    close_all(d->list, d->count);
    d->list = list;
    d->count = count;
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

void
doors_log_unused(const struct doors *d)
{
    for (size_t i = 0; i < d->passed.count; i++) {
        const struct net_passed_socket *s = &d->passed.list[i];
        struct log_line line;

        if (s->is_taken)
            continue;
        log_begin(&line, d->relay->log, LOG_LEVEL_WARNING, "socket.unused");
        log_text(&line, "name", s->name);
        log_text(&line, "address", s->where);
        log_end(&line);
    }
}
