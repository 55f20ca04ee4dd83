#include "relay/daemon/serve_inside.h"

#include "relay/base/mem.h"
#include "relay/daemon/absence.h"
#include "relay/daemon/dispatch.h"
#include "relay/daemon/lock.h"
#include "relay/daemon/router.h"
#include "relay/guard/notice_pace.h"

#include <stdlib.h>
#include <unistd.h>

struct health_task {
    struct task task;
    struct relay *relay;
    bool healthy;
    bool is_broken; /* and not only full */
};

/* A disk whose sync has failed may say that all is well and not have kept it;
 * what is known of it is read anew by another process only. */
static void
broken_too_long(void *ctx)
{
    struct serve *s = ctx;

    serve_say(&s->relay, LOG_LEVEL_ERROR, "store.health", "result",
              "the disk has failed for too long: the relay ends");
    s->exit_code = SERVE_TEMPFAIL;
    serve_stop(&s->relay);
}

static void
mind_disk(struct serve *s, bool is_broken)
{
    if (!is_broken) {
        net_timer_free(&s->broken_timer);
    } else if (!s->broken_timer) {
        s->broken_timer = net_timer_new(&s->relay.loop, broken_too_long, s);
        net_timer_set(s->broken_timer, SERVE_BROKEN_MS);
    }
}

static void
health_arrived(struct task *task)
{
    struct health_task *x = own_container(task, struct health_task, task);

    dispatch_store_health(x->relay->dispatch, x->healthy);
    mind_disk(x->relay->serve, x->is_broken);
    free(x);
}

static void
health_changed(void *ctx, const struct err *why)
{
    struct relay *relay = ctx;
    struct health_task *x = mem_new(struct health_task);

    atomic_store(&relay->store_is_healthy, why == NULL);
    x->task.run = health_arrived;
    x->relay = relay;
    x->healthy = why == NULL;
    x->is_broken = why && why->kind != ERR_SPACE;
    task_post(&relay->inbox, &x->task);
}

/* The answer is good until the next question. */
struct routing {
    const struct config *config;
    struct store_thread *thread; /* NULL: there is none yet */
    char *last;
};

static void
routing_done(struct routing *r)
{
    free(r->last);
}

static const char *
route_for(void *ctx, const char *from, const char *address, const char *domain)
{
    struct routing *r = ctx;

    store_thread_beat(r->thread); /* a large queue takes a while */
    free(r->last);
    r->last = router_destination(r->config, from, address, domain);
    return r->last;
}

static bool
put_in_order(struct relay *relay, struct queue_store *store, struct err *err)
{
    char *routes scoped(own_free) = router_fingerprint(relay->config);
    struct routing routing scoped(routing_done) = {.config = relay->config};
    int64_t now = net_clock_steady();

    if (!queue_store_begin(store, err))
        return false;
    if (queue_store_unjam(store, now,
                          queue_schedule_latest(&relay->config->retry, now),
                          now + NOTICE_PACE_WAIT_MAX_MS, err) &&
        queue_store_reroute(store, routes, route_for, &routing, err) &&
        absence_end(store, now, &relay->ages_from_ms, err))
        return queue_store_commit(store, err);
    queue_store_rollback(store);
    return false;
}

static void
close_store(struct queue_store **store)
{
    queue_store_close(store);
}

bool
serve_open_store(struct serve *s, struct err *err)
{
    const struct config *c = s->relay.config;
    struct queue_claimant claimant = {.owner = c->hostname,
                                      .epoch = net_clock_wall()};
    struct queue_store *store scoped(close_store) = NULL;

    if (!lock_take(c->state_directory, &s->lock_fd, err))
        return false;
    store = queue_store_open(c->state_directory, &claimant, err);
    if (!store || !put_in_order(&s->relay, store, err))
        return false;
    s->relay.ids.last = queue_store_last_id(store);
    atomic_store(&s->relay.store_is_healthy, true);
    atomic_store(&s->relay.reload_is_good, true);
    s->relay.store = store_thread_start(&store, s->relay.log, s->relay.metrics,
                                        health_changed, &s->relay);
    return true;
}

struct reroute_call {
    struct store_call call;
    struct serve *serve;
    struct store_thread *thread;
};

static bool
work_reroute(struct store_call *call, struct queue_store *store,
             struct err *err)
{
    struct reroute_call *x = own_container(call, struct reroute_call, call);
    const struct config *c =
        x->serve->relay.config; /* stays until we are done */
    char *routes scoped(own_free) = router_fingerprint(c);
    struct routing routing scoped(routing_done) = {.config = c,
                                                   .thread = x->thread};

    return queue_store_reroute(store, routes, route_for, &routing, err);
}

static void
reroute_done(struct task *task)
{
    struct reroute_call *x =
        own_container(task, struct reroute_call, call.task);
    struct serve *s = x->serve;

    free(x);
    serve_reload_part_done(s);
    dispatch_unblock(s->relay.dispatch, NULL);
}

void
serve_reroute(struct serve *s)
{
    struct reroute_call *x = mem_new(struct reroute_call);

    x->call.work = work_reroute;
    x->call.task.run = reroute_done;
    x->call.home = &s->relay.inbox;
    x->serve = s;
    x->thread = s->relay.store;
    store_thread_post(s->relay.store, &x->call);
}
