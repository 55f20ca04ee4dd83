#include "relay/daemon/worker.h"

#include "relay/base/mem.h"
#include "relay/daemon/arrival.h"
#include "relay/daemon/batch.h"
#include "relay/daemon/deliver.h"
#include "relay/daemon/outage.h"
#include "relay/daemon/pool.h"
#include "relay/daemon/probe.h"
#include "relay/daemon/receive.h"
#include "relay/daemon/resolver.h"
#include "relay/daemon/server_tls.h"
#include "relay/daemon/submit.h"
#include "relay/daemon/tls_count.h"
#include "relay/daemon/trust.h"

#include <assert.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

/* --- what it opens --- */

static bool
open_dns(struct worker *w, enum dnssec_way way, struct err *err)
{
    struct net_dns_config config = dnssec_config(w->config, way);
    struct net_dns *dns = net_dns_new(&w->loop, &config, err);

    if (!dns)
        return false;
    net_dns_free(&w->dns); /* once it has answered what is under way */
    w->dns = dns;
    w->dnssec = way;
    return true;
}

struct tls_set {
    struct net_tls *mx, *https;
    struct trust *trust;
    struct net_tls **routes;
    size_t route_count;
};

static void
free_tls(struct tls_set *t)
{
    net_tls_free(&t->mx);
    net_tls_free(&t->https);
    trust_free(&t->trust);
    for (size_t i = 0; i < t->route_count; i++)
        net_tls_free(&t->routes[i]);
    own_free(&t->routes);
    t->route_count = 0;
}

/* The system's trust anchors are more than a megabyte: who trusts the same
 * shares them. */
static struct net_tls *
open_https(const struct config *c, const struct net_tls *mx, struct err *err)
{
    return strcmp(c->policy.https_ca, c->policy.mx_ca) == 0
               ? net_tls_client_like(mx)
               : net_tls_client(c->policy.https_ca, err);
}

static bool
open_routes(const struct config *c, struct tls_set *t, struct err *err)
{
    t->routes = mem_array(struct net_tls *, c->route_count + 1);
    t->route_count = c->route_count;
    for (size_t i = 0; i < c->route_count; i++) {
        const struct config_route *r = &c->route[i];

        if (r->certificate[0] == '\0')
            continue;
        t->routes[i] = net_tls_client_like(
            r->anchors[0] ? trust_find(t->trust, r->anchors) : t->mx);
        if (!net_tls_identify(t->routes[i], r->certificate, r->key, err))
            return err_in(err, "route.%s", r->name);
    }
    return true;
}

/* `like`: a worker with this configuration, while none is loaded anew; or
 * NULL. */
static bool
open_tls(const struct config *c, const struct worker *like, struct tls_set *out,
         struct err *err)
{
    struct tls_set t scoped(free_tls) = {0};

    t.mx = like ? net_tls_client_like(like->tls_mx)
                : net_tls_client(c->policy.mx_ca, err);
    if (!t.mx)
        return err_in(err, "policy.mx_ca");
    t.trust = like ? trust_like(like->trust) : trust_new(c, err);
    if (!t.trust)
        return err_in(err, "trust anchors of a domain or route");
    if (!open_routes(c, &t, err))
        return false;
    t.https =
        like ? net_tls_client_like(like->tls_https) : open_https(c, t.mx, err);
    if (!t.https)
        return err_in(err, "policy.https_ca");
    *out = t;
    t = (struct tls_set){0};
    return true;
}

bool
worker_check_tls(const struct config *config, struct err *err)
{
    struct tls_set t scoped(free_tls) = {0};

    return open_tls(config, NULL, &t, err);
}

static void
set_tls(struct worker *w, struct tls_set *t)
{
    struct tls_set old = {w->tls_mx, w->tls_https, w->trust, w->tls_routes,
                          w->tls_route_count};

    w->tls_mx = t->mx;
    w->tls_https = t->https;
    w->trust = t->trust;
    w->tls_routes = t->routes;
    w->tls_route_count = t->route_count;
    *t = (struct tls_set){0};
    free_tls(&old);
}

/* --- the thread --- */

static void
close_all(struct worker *w)
{
    struct tls_set nothing = {0};

    resolver_free(&w->resolver);
    pool_free(&w->pool);
    outage_free(&w->outage);
    net_dns_free(&w->dns);
    set_tls(w, &nothing);
    server_tls_free(&w->server_tls);
    pulse_stop(&w->pulse);
    net_inbox_close(&w->inbox);
}

static void *
run(void *arg)
{
    struct worker *w = arg;

    (void)uv_run(&w->loop, UV_RUN_DEFAULT);
    return NULL;
}

static void
mask_signals(sigset_t *old)
{
    sigset_t all;

    sigfillset(&all); /* signals are the main thread's */
    (void)pthread_sigmask(SIG_BLOCK, &all, old);
}

struct worker *
worker_start(struct relay *relay, unsigned number, struct server_tls **set,
             struct err *err)
{
    struct worker *w = mem_new(struct worker);
    struct tls_set tls = {0};
    sigset_t old;

    w->relay = relay;
    w->number = number;
    w->config = relay->config;
    if (!open_tls(w->config, number ? relay->workers[0] : NULL, &tls, err)) {
        free(w);
        return NULL;
    }
    if (uv_loop_init(&w->loop) != 0)
        abort();
    set_tls(w, &tls);
    w->server_tls = take(set);
    net_inbox_open(&w->inbox, &w->loop, task_run_all, w);
    pulse_start(&w->pulse, &w->loop);
    w->pool = pool_new(w);
    w->outage = outage_new();
    w->resolver = resolver_new(w);
    if (!open_dns(w, DNSSEC_OFF, err)) {
        close_all(w);
        (void)uv_run(&w->loop, UV_RUN_DEFAULT);
        (void)uv_loop_close(&w->loop);
        free(w);
        return NULL;
    }
    mask_signals(&old);
    if (pthread_create(&w->thread, NULL, run, w) != 0)
        abort();
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    return w;
}

struct net_tls *
worker_tls(const struct worker *w, const char *anchors,
           const struct config_route *route)
{
    size_t i = route ? (size_t)(route - w->config->route) : w->tls_route_count;

    if (i < w->tls_route_count && w->tls_routes[i] &&
        strcmp(route->anchors, anchors) == 0)
        return w->tls_routes[i];
    return anchors[0] ? trust_find(w->trust, anchors) : w->tls_mx;
}

void
worker_post(struct worker *w, struct task *task)
{
    task_post(&w->inbox, task);
}

/* --- tasks --- */

struct accept_task {
    struct task task;
    struct worker *worker;
    struct addr peer;
    struct gate_pass pass;
    int fd;
};

static void
accept_arrived(struct task *task)
{
    struct accept_task *x = own_container(task, struct accept_task, task);
    struct worker *w = x->worker;
    const struct config_listener *l =
        config_listener_find(w->config, x->pass.listener);

    if (l && !w->is_stopping) {
        arrival_start(w, x->fd, &x->peer, l, &x->pass);
    } else {
        (void)close(x->fd);
        gate_leave(w->relay->gate, &x->pass);
    }
    free(x);
}

void
worker_accept(struct worker *w, int fd, const struct addr *peer,
              const struct gate_pass *pass)
{
    struct accept_task *x = mem_new(struct accept_task);

    x->task.run = accept_arrived;
    x->worker = w;
    x->fd = fd;
    x->peer = *peer;
    x->pass = *pass;
    worker_post(w, &x->task);
}

struct reload_task {
    struct task task;
    struct worker *worker;
    const struct config *config;
    struct server_tls *server_tls;
    void (*done)(void *ctx);
    void *ctx;
};

static void
reload_done(struct task *task)
{
    struct reload_task *x = own_container(task, struct reload_task, task);

    x->done(x->ctx);
    free(x);
}

/* The routes are others now. */
static void
forget_routes(struct worker *w)
{
    while (w->tls_route_count > 0)
        net_tls_free(&w->tls_routes[--w->tls_route_count]);
}

/* The main thread has checked that the files are good; should one have
 * changed in between, the old trust anchors stay. */
static void
reload_arrived(struct task *task)
{
    struct reload_task *x = own_container(task, struct reload_task, task);
    struct worker *w = x->worker;
    struct tls_set tls = {0};
    struct err err;

    w->config = x->config;
    server_tls_free(&w->server_tls);
    w->server_tls = x->server_tls;
    if (open_tls(w->config, NULL, &tls, &err))
        set_tls(w, &tls);
    else
        forget_routes(w);
    resolver_forget(w->resolver, NULL);
    pool_empty(w->pool);
    x->task.run = reload_done;
    task_post(&w->relay->inbox, &x->task);
}

void
worker_reload(struct worker *w, const struct config *config,
              struct server_tls *set, void (*done)(void *ctx), void *ctx)
{
    struct reload_task *x = mem_new(struct reload_task);

    x->task.run = reload_arrived;
    x->worker = w;
    x->config = config;
    x->server_tls = set;
    x->done = done;
    x->ctx = ctx;
    worker_post(w, &x->task);
}

struct show_task {
    struct task task;
    struct worker *worker;
    struct server_tls *server_tls;
};

static void
show_arrived(struct task *task)
{
    struct show_task *x = own_container(task, struct show_task, task);

    server_tls_free(&x->worker->server_tls);
    x->worker->server_tls = x->server_tls;
    free(x);
}

void
worker_show(struct worker *w, struct server_tls *set)
{
    struct show_task *x = mem_new(struct show_task);

    x->task.run = show_arrived;
    x->worker = w;
    x->server_tls = set;
    worker_post(w, &x->task);
}

struct resolve_task {
    struct task task;
    struct worker *worker;
    enum dnssec_way way;
};

static void
resolve_arrived(struct task *task)
{
    struct resolve_task *x = own_container(task, struct resolve_task, task);
    struct worker *w = x->worker;
    struct log_line line;
    struct err err;

    if (!open_dns(w, x->way, &err)) { /* the probe could open one */
        log_begin(&line, w->relay->log, LOG_LEVEL_ERROR, "resolver.dnssec");
        log_text(&line, "reason", err.text);
        log_end(&line);
    }
    resolver_forget(w->resolver, NULL);
    resolver_begin(w->resolver);
    free(x);
}

void
worker_resolve(struct worker *w, enum dnssec_way way)
{
    struct resolve_task *x = mem_new(struct resolve_task);

    x->task.run = resolve_arrived;
    x->worker = w;
    x->way = way;
    worker_post(w, &x->task);
}

struct worker_task {
    struct task task;
    struct worker *worker;
};

static void
post_to(struct worker *w, void (*arrived)(struct task *))
{
    struct worker_task *x = mem_new(struct worker_task);

    x->task.run = arrived;
    x->worker = w;
    worker_post(w, &x->task);
}

static void
shut_sessions(struct worker *w)
{
    struct receive *r, *next;

    arrival_cut(w);
    for (r = w->sessions; r; r = next) {
        next = receive_next(r);
        receive_shut(r);
    }
}

static void
shut_arrived(struct task *task)
{
    struct worker_task *x = own_container(task, struct worker_task, task);

    shut_sessions(x->worker);
    free(x);
}

void
worker_shut(struct worker *w)
{
    post_to(w, shut_arrived);
}

/* What no host has in hand would go no further than to MAIL: it does not hold
 * up the end. */
static void
cut_beginnings(struct worker *w)
{
    struct deliver *d, *next;

    for (d = w->deliveries; d; d = next) {
        next = deliver_next(d);
        if (!deliver_has_begun(d))
            deliver_cut(d);
    }
}

static void
drain_arrived(struct task *task)
{
    struct worker_task *x = own_container(task, struct worker_task, task);
    struct worker *w = x->worker;

    free(x);
    w->is_stopping = true;
    shut_sessions(w);
    cut_beginnings(w);
    pool_empty(w->pool);
}

void
worker_drain(struct worker *w)
{
    post_to(w, drain_arrived);
}

struct cut_task {
    struct task task;
    struct worker *worker;
    void (*done)(void *ctx);
    void *ctx;
};

static void
cut_done(struct task *task)
{
    struct cut_task *x = own_container(task, struct cut_task, task);

    x->done(x->ctx);
    free(x);
}

static void
cut_arrived(struct task *task)
{
    struct cut_task *x = own_container(task, struct cut_task, task);
    struct worker *w = x->worker;

    w->is_stopping = w->is_cut = true;
    arrival_cut(w);
    while (w->sessions)
        receive_kill(w->sessions);
    while (w->deliveries)
        deliver_cut(w->deliveries);
    while (w->probes)
        probe_cut(w->probes);
    while (w->batches)
        batch_cut(w->batches);
    while (w->submits)
        submit_cut(w->submits);
    resolver_cut(w->resolver);
    tls_count_cut(w);
    x->task.run = cut_done;
    task_post(&w->relay->inbox, &x->task);
}

void
worker_cut(struct worker *w, void (*done)(void *ctx), void *ctx)
{
    struct cut_task *x = mem_new(struct cut_task);

    x->task.run = cut_arrived;
    x->worker = w;
    x->done = done;
    x->ctx = ctx;
    worker_post(w, &x->task);
}

static void
stop_arrived(struct task *task)
{
    struct worker_task *x = own_container(task, struct worker_task, task);

    close_all(x->worker);
    free(x);
}

void
worker_stop(struct worker **place)
{
    struct worker *w = take(place);

    if (!w)
        return;
    post_to(w, stop_arrived);
    (void)pthread_join(w->thread, NULL);
    if (uv_loop_close(&w->loop) != 0)
        abort(); /* something was left open */
    free(w);
}
