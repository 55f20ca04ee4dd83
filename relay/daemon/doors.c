#include "relay/daemon/doors.h"

#include "relay/base/mem.h"
#include "relay/daemon/gate.h"
#include "relay/daemon/worker.h"
#include "relay/net/listen.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

struct door {
    struct doors *doors;
    struct net_listen *listen;
    char *address;
    size_t index; /* of the listener in the configuration */
};

static void
turn_away(int fd)
{
    static const char text[] =
        "421 4.7.0 too many connections, try again later\r\n";

    (void)send(fd, text, sizeof(text) - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
    (void)close(fd);
}

static void
accepted(void *ctx, int fd, const struct addr *peer)
{
    struct door *door = ctx;
    struct relay *relay = door->doors->relay;
    struct doors *doors = door->doors;

    if (!gate_enter(relay->gate, peer)) {
        turn_away(fd);
        return;
    }
    metrics_count(relay->metrics, METRICS_CONNECTIONS_IN,
                  relay->config->listener[door->index].name);
    worker_accept(relay->workers[doors->turn++ % relay->worker_count], fd, peer,
                  door->index);
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
    if (is_open(d, door->address))
        return true; /* it changes hands below */
    door->listen = net_listen_open(&d->relay->loop, door->address, 0660,
                                   accepted, door, err);
    return door->listen || err_in(err, "listener \"%s\"", listener->name);
}

bool
doors_open(struct doors *d, const struct config *c, struct err *err)
{
    struct door *list = mem_array(struct door, c->listener_count);

    for (size_t i = 0; i < c->listener_count; i++) {
        list[i].index = i;
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
