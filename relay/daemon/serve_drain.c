#include "relay/daemon/serve_inside.h"

#include "relay/daemon/account.h"
#include "relay/daemon/dispatch.h"
#include "relay/daemon/doors.h"
#include "relay/daemon/maildrop.h"
#include "relay/daemon/notify.h"
#include "relay/daemon/worker.h"
#include "relay/guard/gate.h"
#include "relay/net/http_server.h"

#include <unistd.h>

static bool
is_quiet(const struct serve *s)
{
    return gate_count(s->relay.gate) == 0 &&
           dispatch_is_idle(s->relay.dispatch) && s->reload_waits == 0 &&
           maildrop_is_quiet(s->maildrop) && !s->relay.injects;
}

static void
cut_done(void *ctx)
{
    struct serve *s = ctx;

    s->cut_waits--;
}

static void
cut_workers(struct serve *s)
{
    s->cut = true;
    s->drain_until_ms = net_clock_steady() + SERVE_LAST_MS;
    s->cut_waits = s->relay.worker_count;
    net_http_server_cut(s->http); /* while there are workers to tell of it */
    if (s->web_http)
        net_http_server_cut(s->web_http);
    for (unsigned i = 0; i < s->relay.worker_count; i++)
        worker_cut(s->relay.workers[i], cut_done, s);
}

/* The store does not answer.  Nothing is lost by going: what was promised is
 * on the disk. */
static void
give_up(struct serve *s)
{
    serve_say(&s->relay, LOG_LEVEL_ERROR, "drain", "result",
              "gave up waiting for the store");
    log_close(&s->relay.log);
    _exit(SERVE_TEMPFAIL);
}

/* First what is under way may end by itself; then it is cut off. */
static void
drain_tick(void *ctx)
{
    struct serve *s = ctx;
    bool late = net_clock_steady() >= s->drain_until_ms;

    if (!s->cut) {
        if (is_quiet(s) || late)
            cut_workers(s);
    } else if (s->cut_waits == 0 && is_quiet(s)) {
        s->over = true;
        uv_stop(&s->relay.loop);
        return;
    } else if (late) {
        give_up(s);
    }
    net_timer_set(s->drain_timer, s->cut ? 1 : SERVE_POLL_MS);
}

void
serve_close(struct relay *relay)
{
    struct serve *s = relay->serve;

    if (atomic_exchange(&relay->is_draining, true))
        return;
    serve_say(relay, LOG_LEVEL_INFO, "drain", "state", "begun");
    doors_close(&s->doors);
    maildrop_stop(s->maildrop);
    for (unsigned i = 0; i < relay->worker_count; i++)
        worker_shut(relay->workers[i]);
}

void
serve_stop(struct relay *relay)
{
    struct serve *s = relay->serve;

    if (s->drain_timer) { /* asked twice: at once, but for the store */
        if (!s->cut)
            s->drain_until_ms = 0;
        return;
    }
    s->drain_until_ms = net_clock_steady() + SERVE_DRAIN_MS;
    for (unsigned i = 0; i < relay->worker_count; i++)
        worker_drain(relay->workers[i]); /* first: it shortens the farewells */
    net_http_server_hurry(s->http);
    if (s->web_http)
        net_http_server_hurry(s->web_http);
    serve_close(relay);
    notify_stopping(relay->notify);
    dispatch_drain(relay->dispatch);
    accounts_drain(relay->accounts);
    s->drain_timer = net_timer_new(&relay->loop, drain_tick, s);
    net_timer_set(s->drain_timer, 1);
}
