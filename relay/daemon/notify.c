#include "relay/daemon/notify.h"

#include "relay/base/mem.h"
#include "relay/daemon/worker.h"
#include "relay/guard/gate.h"
#include "relay/net/timer.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { STATUS_MS = 10 * 1000 }; /* without a watchdog */

struct notify {
    struct relay *relay;
    int fd;
    struct sockaddr_un to;
    socklen_t to_len;
    struct net_timer *timer;
    uint64_t every_ms;
    bool is_watched; /* the manager expects WATCHDOG */
    bool is_stopping;
    unsigned unanswered; /* workers that were asked and have not answered */
};

/* Travels to a worker's loop and home again. */
struct ping {
    struct task task;
    struct relay *relay;
};

static void
say(const struct notify *n, const char *words)
{
    (void)sendto(n->fd, words, strlen(words), MSG_NOSIGNAL,
                 (const struct sockaddr *)&n->to, n->to_len);
}

static void
say_status(const struct notify *n, const char *before)
{
    const struct relay *relay = n->relay;
    char *words scoped(own_free) = mem_printf(
        "%sSTATUS=%s; %u connections, %" PRIu64 " messages accepted, %" PRIu64
        " recipients delivered",
        before,
        !atomic_load(&relay->store_is_healthy) ? "the store can't commit"
        : n->is_stopping                       ? "draining"
                                               : "running",
        gate_count(relay->gate),
        metric_total(relay->metrics, METRICS_ACCEPTED, NULL),
        metric_total(relay->metrics, METRICS_RESULTS, "sent"));

    say(n, words);
}

/* --- the watchdog --- */

static void
ping_home(struct task *task)
{
    struct ping *x = own_container(task, struct ping, task);

    if (x->relay->notify)
        x->relay->notify->unanswered--;
    free(x);
}

static void
ping_arrived(struct task *task)
{
    struct ping *x = own_container(task, struct ping, task);

    x->task.run = ping_home;
    task_post(&x->relay->inbox, &x->task);
}

static void
ask_workers(struct notify *n)
{
    for (unsigned i = 0; i < n->relay->worker_count; i++) {
        struct ping *x = mem_new(struct ping);

        x->relay = n->relay;
        x->task.run = ping_arrived;
        n->unanswered++;
        worker_post(n->relay->workers[i], &x->task);
    }
}

static void
tick(void *ctx)
{
    struct notify *n = ctx;

    if (n->unanswered == 0) {
        say_status(n, n->is_watched ? "WATCHDOG=1\n" : "");
        if (n->is_watched)
            ask_workers(n);
    }
    net_timer_set(n->timer, n->every_ms);
}

/* Twice in the time that the manager grants. */
static void
read_watchdog(struct notify *n)
{
    const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
    unsigned long long value;

    n->every_ms = STATUS_MS;
    if (!usec || !slice_number(slice_of(usec), UINT64_MAX / 2, &value))
        return;
    if (pid) {
        unsigned long long whose;

        if (!slice_number(slice_of(pid), UINT32_MAX, &whose) ||
            whose != (unsigned long long)getpid())
            return;
    }
    n->is_watched = true;
    n->every_ms = value / 2000 > 0 ? value / 2000 : 1;
}

/* --- birth and end --- */

/* "@name" is a socket without a file. */
static bool
find_manager(struct notify *n)
{
    const char *path = getenv("NOTIFY_SOCKET");
    size_t len = path ? strlen(path) : 0;

    if (len == 0 || len >= sizeof(n->to.sun_path) ||
        (path[0] != '/' && path[0] != '@'))
        return false;
    n->to.sun_family = AF_UNIX;
    memcpy(n->to.sun_path, path, len);
    if (path[0] == '@')
        n->to.sun_path[0] = '\0';
    n->to_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
    n->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    return n->fd >= 0;
}

struct notify *
notify_new(struct relay *relay)
{
    struct notify *n = mem_new(struct notify);

    n->relay = relay;
    if (!find_manager(n)) {
        free(n);
        return NULL;
    }
    read_watchdog(n);
    n->timer = net_timer_new(&relay->loop, tick, n);
    net_timer_set(n->timer, n->every_ms);
    return n;
}

void
notify_free(struct notify **slot)
{
    struct notify *n = take(slot);

    if (!n)
        return;
    net_timer_free(&n->timer);
    own_close(&n->fd);
    free(n);
}

void
notify_ready(struct notify *n)
{
    if (n)
        say_status(n, "READY=1\n");
}

void
notify_reloading(struct notify *n)
{
    struct timespec now = {0};
    char *words scoped(own_free) = NULL;

    if (!n)
        return;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    words = mem_printf("RELOADING=1\nMONOTONIC_USEC=%lld\n",
                       (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000);
    say(n, words);
}

void
notify_stopping(struct notify *n)
{
    if (!n)
        return;
    n->is_stopping = true;
    say_status(n, "STOPPING=1\n");
}
