#include "relay/daemon/serve.h"

#include "relay/base/mem.h"
#include "relay/daemon/account.h"
#include "relay/daemon/cert_watch.h"
#include "relay/daemon/directory.h"
#include "relay/daemon/dispatch.h"
#include "relay/daemon/dkim_shelf.h"
#include "relay/daemon/dnssec.h"
#include "relay/daemon/doors.h"
#include "relay/daemon/expiring.h"
#include "relay/daemon/gate.h"
#include "relay/daemon/gateway.h"
#include "relay/daemon/lock.h"
#include "relay/daemon/login_desk.h"
#include "relay/daemon/maildrop.h"
#include "relay/daemon/notify.h"
#include "relay/daemon/process.h"
#include "relay/daemon/quota.h"
#include "relay/daemon/refresher.h"
#include "relay/daemon/refusals.h"
#include "relay/daemon/router.h"
#include "relay/daemon/sender_shelf.h"
#include "relay/daemon/tls_report.h"
#include "relay/daemon/user_book.h"
#include "relay/daemon/worker.h"
#include "relay/net/listen.h"
#include "relay/net/work.h"

#include <assert.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

struct serve {
    struct relay relay;
    const char *config_file;
    const struct serve_api *api;
    void *api_ctx;
    struct net_http_server *http;
    struct net_listen *control, *web;
    struct doors doors;
    struct maildrop *maildrop; /* NULL: none is watched */
    int lock_fd;
    uv_signal_t on_term, on_int, on_hup;
    struct net_timer *drain_timer;
    int64_t drain_until_ms;
    bool cut, over;
    unsigned cut_waits;
    int exit_code;

    struct config *old; /* still looked at by somebody, during a reload */
    unsigned reload_waits;
    struct server_tls **keys; /* until the workers have taken theirs */
    struct server_tls_facts key_facts;
    bool reload_again;
};

static struct serve *
of(struct relay *relay)
{
    return relay->serve;
}

static void
say(const struct relay *relay, enum log_level level, const char *event,
    const char *key, const char *text)
{
    struct log_line line;

    log_begin(&line, relay->log, level, event);
    log_text(&line, key, text);
    log_end(&line);
}

/* Whoever looks for mail that does not come finds this. */
static void
warn_of_mode(const struct relay *relay)
{
    const struct config *c = relay->config;
    struct log_line line;

    if (c->mode == CONFIG_MODE_LIVE)
        return;
    log_begin(&line, relay->log, LOG_LEVEL_WARNING, "relay.mode");
    log_text(&line, "mode", config_mode_name(c->mode));
    if (c->mode == CONFIG_MODE_REDIRECT)
        log_address(&line, "to", c->redirect_to);
    log_text(&line, "text",
             c->mode == CONFIG_MODE_SINK
                 ? "mail is accepted and delivered to nobody"
                 : "all mail goes to one address, and not to its recipients");
    log_end(&line);
}

/* --- the store --- */

struct health_task {
    struct task task;
    struct relay *relay;
    bool healthy;
};

static void
health_arrived(struct task *task)
{
    struct health_task *x = own_container(task, struct health_task, task);

    dispatch_store_health(x->relay->dispatch, x->healthy);
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
    task_post(&relay->inbox, &x->task);
}

/* The answer is good until the next question. */
struct routing {
    const struct config *config;
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
                          err) &&
        queue_store_reroute(store, routes, route_for, &routing, err))
        return queue_store_commit(store, err);
    queue_store_rollback(store);
    return false;
}

static void
close_store(struct queue_store **store)
{
    queue_store_close(store);
}

static bool
open_store(struct serve *s, struct err *err)
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
    s->relay.store =
        store_thread_start(&store, s->relay.log, health_changed, &s->relay);
    return true;
}

/* --- reload --- */

static bool begin_reload(struct serve *s, struct buf *why);

static void
reload_part_done(void *ctx)
{
    struct serve *s = ctx;

    if (--s->reload_waits > 0)
        return;
    config_free(&s->old);
    notify_ready(s->relay.notify);
    say(&s->relay, LOG_LEVEL_INFO, "config.reload", "result", "ok");
    metrics_count(s->relay.metrics, METRICS_RELOADS, "ok");
    atomic_store(&s->relay.reload_is_good, true);
    if (s->reload_again) {
        s->reload_again = false;
        (void)begin_reload(s, NULL);
    }
}

struct reroute_call {
    struct store_call call;
    struct serve *serve;
};

static bool
work_reroute(struct store_call *call, struct queue_store *store,
             struct err *err)
{
    struct reroute_call *x = own_container(call, struct reroute_call, call);
    const struct config *c =
        x->serve->relay.config; /* stays until we are done */
    char *routes scoped(own_free) = router_fingerprint(c);
    struct routing routing scoped(routing_done) = {.config = c};

    return queue_store_reroute(store, routes, route_for, &routing, err);
}

static void
reroute_done(struct task *task)
{
    struct reroute_call *x =
        own_container(task, struct reroute_call, call.task);
    struct serve *s = x->serve;

    free(x);
    reload_part_done(s);
    dispatch_unblock(s->relay.dispatch, NULL);
}

static void
swap_config(struct serve *s, struct config *next, struct server_tls **sets,
            const struct server_tls_facts *facts)
{
    struct reroute_call *x = mem_new(struct reroute_call);

    s->old = s->relay.config;
    s->relay.config = next;
    log_change(s->relay.log, &next->log);
    warn_of_mode(&s->relay);
    dispatch_configure(s->relay.dispatch);
    user_book_configure(s->relay.user_book);
    gateway_warn(s->relay.log, next);
    dkim_shelf_configure(s->relay.dkim);
    sender_shelf_configure(s->relay.senders);
    accounts_configure(s->relay.accounts);
    s->reload_waits = s->relay.worker_count + 1;
    for (unsigned i = 0; i < s->relay.worker_count; i++)
        worker_reload(s->relay.workers[i], next, sets[i], reload_part_done, s);
    cert_watch_configure(s->relay.cert_watch, facts);
    dnssec_configure(s->relay.dnssec); /* behind the reload, in each inbox */
    x->call.work = work_reroute;
    x->call.task.run = reroute_done;
    x->call.home = &s->relay.inbox;
    x->serve = s;
    store_thread_post(s->relay.store, &x->call);
}

static bool
may_swap(struct serve *s, const struct config *next, struct err *err)
{
    const struct config *now = s->relay.config;

    if (strcmp(now->state_directory, next->state_directory) != 0 ||
        strcmp(now->control.socket, next->control.socket) != 0 ||
        strcmp(now->http.address, next->http.address) != 0 ||
        now->maildrop.enabled != next->maildrop.enabled ||
        strcmp(now->maildrop.directory, next->maildrop.directory) != 0 ||
        now->workers != next->workers || strcmp(now->user, next->user) != 0)
        return err_set(err, ERR_INPUT,
                       "state_directory, control.socket, http.address, "
                       "maildrop, workers and user change with a restart only");
    return worker_check_tls(next, err);
}

/* What can fail is done first; then everybody gets what is new. */
static bool
take_config(struct serve *s, struct config *next, struct err *err)
{
    unsigned count = s->relay.worker_count;
    struct server_tls **sets = mem_array(struct server_tls *, count);
    struct server_tls_facts facts;
    bool ok = may_swap(s, next, err) &&
              server_tls_load(next, sets, count, &facts, err) &&
              doors_open(&s->doors, next, err);

    if (ok)
        swap_config(s, next, sets, &facts);
    else
        server_tls_free_all(sets, count);
    free(sets);
    return ok;
}

static void
add_why(struct serve *s, const char *error, struct buf *why)
{
    say(&s->relay, LOG_LEVEL_ERROR, "config.reload", "error", error);
    metrics_count(s->relay.metrics, METRICS_RELOADS, "failed");
    notify_ready(s->relay.notify);
    atomic_store(&s->relay.reload_is_good, false);
    if (why)
        buf_printf(why, "%s\n", error);
}

static void
log_notes(const struct serve *s, const struct config_errors *errs)
{
    for (size_t i = 0; i < errs->note_count; i++)
        say(&s->relay, LOG_LEVEL_INFO, "config.note", "text", errs->note[i]);
}

/* `why` NULL: it is in the log only. */
static bool
begin_reload(struct serve *s, struct buf *why)
{
    struct config_errors errs = {0};
    struct config *next = NULL;
    struct err err;
    bool ok;

    notify_reloading(s->relay.notify);
    ok = config_load(s->config_file, &next, &errs);
    for (size_t i = 0; !ok && i < errs.count; i++)
        add_why(s, errs.text[i], why);
    log_notes(s, &errs);
    config_errors_done(&errs);
    if (ok && !take_config(s, next, &err)) {
        add_why(s, err.text, why);
        config_free(&next);
        ok = false;
    }
    return ok;
}

/* Many at once become one more behind the one under way. */
bool
serve_reload(struct relay *relay, struct buf *why)
{
    struct serve *s = of(relay);

    if (atomic_load(&relay->is_draining)) {
        if (why)
            buf_add_text(why, "the relay is draining\n");
        return false;
    }
    if (s->reload_waits == 0)
        return begin_reload(s, why);
    s->reload_again = true;
    return true;
}

/* --- drain --- */

static bool
is_quiet(const struct serve *s)
{
    return gate_count(s->relay.gate) == 0 &&
           dispatch_is_idle(s->relay.dispatch) && s->reload_waits == 0 &&
           maildrop_is_quiet(s->maildrop);
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
    for (unsigned i = 0; i < s->relay.worker_count; i++)
        worker_cut(s->relay.workers[i], cut_done, s);
}

/* The store does not answer.  Nothing is lost by going: what was promised is
 * on the disk. */
static void
give_up(struct serve *s)
{
    say(&s->relay, LOG_LEVEL_ERROR, "drain", "result",
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
    struct serve *s = of(relay);

    if (atomic_exchange(&relay->is_draining, true))
        return;
    say(relay, LOG_LEVEL_INFO, "drain", "state", "begun");
    doors_close(&s->doors);
    maildrop_stop(s->maildrop);
    for (unsigned i = 0; i < relay->worker_count; i++)
        worker_shut(relay->workers[i]);
}

void
serve_stop(struct relay *relay)
{
    struct serve *s = of(relay);

    if (s->drain_timer) { /* asked twice: at once */
        s->drain_until_ms = 0;
        return;
    }
    serve_close(relay);
    notify_stopping(relay->notify);
    s->drain_until_ms = net_clock_steady() + SERVE_DRAIN_MS;
    for (unsigned i = 0; i < relay->worker_count; i++)
        worker_drain(relay->workers[i]);
    dispatch_drain(relay->dispatch);
    accounts_drain(relay->accounts);
    s->drain_timer = net_timer_new(&relay->loop, drain_tick, s);
    net_timer_set(s->drain_timer, 1);
}

static void
got_signal(uv_signal_t *handle, int number)
{
    struct serve *s = handle->data;

    if (number == SIGHUP)
        (void)serve_reload(&s->relay, NULL);
    else
        serve_stop(&s->relay);
}

static void
watch(struct serve *s, uv_signal_t *handle, int number)
{
    uv_signal_init(&s->relay.loop, handle);
    handle->data = s;
    uv_signal_start(handle, got_signal, number);
}

/* --- start --- */

static void
main_arrived(void *ctx, struct mailbox_letter *first)
{
    struct serve *s = ctx;

    task_run_all(NULL, first);
    if (s->relay.dispatch)
        dispatch_pump(s->relay.dispatch);
}

/* Keys that only root may read are read before it is somebody else. */
static bool
read_keys(struct serve *s, struct err *err)
{
    const struct config *c = s->relay.config;

    s->keys = mem_array(struct server_tls *, c->workers);
    return server_tls_load(c, s->keys, c->workers, &s->key_facts, err);
}

static bool
open_logins(struct relay *relay, struct err *err)
{
    relay->quota = quota_new();
    relay->login_desk = login_desk_open(relay->config->state_directory, err);
    if (!relay->login_desk)
        return false;
    relay->user_book = user_book_open(relay, err);
    gateway_warn(relay->log, relay->config);
    return relay->user_book;
}

static bool
start_workers(struct serve *s, struct err *err)
{
    struct relay *relay = &s->relay;

    relay->workers = mem_array(struct worker *, relay->config->workers);
    relay->worker_count = relay->config->workers;
    for (unsigned i = 0; i < relay->worker_count; i++) {
        relay->workers[i] = worker_start(relay, i, &s->keys[i], err);
        if (!relay->workers[i])
            return false;
    }
    relay->cert_watch = cert_watch_new(relay, &s->key_facts);
    return true;
}

static void
control_accepted(void *ctx, int fd, const struct addr *peer)
{
    struct serve *s = ctx;

    (void)peer;
    net_http_server_add(s->http, fd);
}

static bool
open_control(struct serve *s, struct err *err)
{
    char *where scoped(own_free) =
        mem_printf("unix:%s", s->relay.config->control.socket);

    if (!directory_make_for(s->relay.config->control.socket, 0755, NULL, err))
        return err_in(err, "control.socket");
    s->api_ctx = s->api->open(&s->relay);
    s->http = net_http_server_new(&s->relay.loop, s->api->handle, s->api_ctx);
    s->control =
        net_listen_open(&s->relay.loop, where, 0600, control_accepted, s, err);
    return s->control || err_in(err, "control.socket");
}

static bool
open_web(struct serve *s, struct err *err)
{
    const char *where = s->relay.config->http.address;

    if (!*where)
        return true;
    s->web =
        net_listen_open(&s->relay.loop, where, 0600, control_accepted, s, err);
    return s->web || err_in(err, "http.address");
}

static bool
open_maildrop(struct serve *s, struct err *err)
{
    s->maildrop = maildrop_start(&s->relay, err);
    return s->maildrop || err->kind == ERR_NONE ||
           err_in(err, "maildrop.directory");
}

/* Ports first, while we may still be root; then everything else as the user
 * that the configuration names. */
static bool
start(struct serve *s, struct err *err)
{
    struct relay *relay = &s->relay;

    relay->metrics = metrics_new();
    relay->refusals = refusals_new();
    relay->gate = gate_new(process_client_limit());
    net_work_widen(relay->config->workers); /* as many can sign at once */
    relay->dkim = dkim_shelf_new(relay);
    s->doors.relay = relay;
    if (!net_passed_open(&s->doors.passed, err) ||
        !doors_open(&s->doors, relay->config, err) || !read_keys(s, err) ||
        !process_become(relay->config, err))
        return false;
    process_harden();
    relay->log = log_open(STDOUT_FILENO, &relay->config->log, err);
    if (relay->log)
        doors_log_unused(&s->doors);
    relay->senders = sender_shelf_new(relay);
    if (!relay->log || !open_store(s, err) || !open_logins(relay, err) ||
        !start_workers(s, err))
        return false;
    relay->dispatch = dispatch_new(relay);
    dispatch_configure(relay->dispatch);
    relay->accounts = accounts_new(relay);
    relay->refresher = refresher_new(relay);
    relay->expiring = expiring_new(relay);
    relay->dnssec = dnssec_new(relay);
    relay->tls_report = tls_report_new(relay);
    if (!open_control(s, err) || !open_web(s, err) || !open_maildrop(s, err))
        return false;
    watch(s, &s->on_term, SIGTERM);
    watch(s, &s->on_int, SIGINT);
    watch(s, &s->on_hup, SIGHUP);
    relay->notify = notify_new(relay);
    return true;
}

static void
say_ready(const struct serve *s)
{
    const struct config *c = s->relay.config;
    struct log_line line;

    log_begin(&line, s->relay.log, LOG_LEVEL_INFO, "relay.ready");
    log_text(&line, "hostname", c->hostname);
    log_text(&line, "listener", doors_where(&s->doors));
    log_int(&line, "listeners", (int64_t)s->doors.count);
    log_text(&line, "state_directory", c->state_directory);
    log_text(&line, "control", c->control.socket);
    log_int(&line, "workers", c->workers);
    log_text(&line, "mode", config_mode_name(c->mode));
    log_end(&line);
}

/* Everything in the order that lets the last letters arrive. */
static void
shut(struct serve *s)
{
    struct relay *relay = &s->relay;

    net_listen_close(&s->control);
    net_listen_close(&s->web);
    net_http_server_free(&s->http);
    if (s->api_ctx)
        s->api->close(s->api_ctx);
    doors_close(&s->doors);
    net_passed_done(&s->doors.passed);
    store_thread_stop(&relay->store);
    for (unsigned i = 0; i < relay->worker_count; i++)
        worker_stop(&relay->workers[i]);
    relay->worker_count = 0; /* for tasks that still come home */
    free(relay->workers);
    task_run_all(NULL, mailbox_take(&relay->inbox.box));
    user_book_close(&relay->user_book);
    login_desk_close(&relay->login_desk);
    quota_free(&relay->quota);
    notify_free(&relay->notify);
    accounts_free(&relay->accounts);
    dispatch_free(&relay->dispatch);
    refresher_free(&relay->refresher);
    expiring_free(&relay->expiring);
    cert_watch_free(&relay->cert_watch);
    dnssec_free(&relay->dnssec);
    dkim_shelf_free(&relay->dkim);
    tls_report_free(&relay->tls_report);
    sender_shelf_free(&relay->senders);
    net_timer_free(&s->drain_timer);
    if (s->over) {
        uv_close((uv_handle_t *)&s->on_term, NULL);
        uv_close((uv_handle_t *)&s->on_int, NULL);
        uv_close((uv_handle_t *)&s->on_hup, NULL);
    }
    maildrop_stop(s->maildrop);
    net_inbox_close(&relay->inbox);
    (void)uv_run(&relay->loop, UV_RUN_DEFAULT);
    (void)uv_loop_close(&relay->loop);
    maildrop_free(&s->maildrop);
    gate_free(&relay->gate);
    if (s->over)
        say(relay, LOG_LEVEL_INFO, "drain", "state", "done");
    log_close(&relay->log);
    metric_set_free(&relay->metrics);
    refusals_free(&relay->refusals);
    if (s->keys)
        server_tls_free_all(s->keys, relay->config->workers);
    free(s->keys);
    config_free(&relay->config);
    own_close(&s->lock_fd);
}

static bool
load(struct serve *s, struct config_errors *errs)
{
    bool ok = config_load(s->config_file, &s->relay.config, errs);

    for (size_t i = 0; i < errs->count; i++)
        (void)fprintf(stderr, "%s\n", errs->text[i]);
    for (size_t i = 0; ok && i < errs->warning_count; i++)
        (void)fprintf(stderr, "warning: %s\n", errs->warning[i]);
    return ok;
}

static int
exit_code(const struct err *err)
{
    return err->kind == ERR_INPUT ? SERVE_CONFIG : SERVE_TEMPFAIL;
}

int
serve_run(const char *config_file, const struct serve_api *api)
{
    struct serve s = {.config_file = config_file, .api = api, .lock_fd = -1};
    struct config_errors errs scoped(config_errors_done) = {0};
    struct err err = {0};

    s.relay.serve = &s;
    if (!load(&s, &errs))
        return SERVE_CONFIG;
    s.relay.started_ms = net_clock_wall();
    if (uv_loop_init(&s.relay.loop) != 0)
        abort();
    net_inbox_open(&s.relay.inbox, &s.relay.loop, main_arrived, &s);
    if (start(&s, &err)) {
        log_notes(&s, &errs);
        warn_of_mode(&s.relay);
        say_ready(&s);
        notify_ready(s.relay.notify);
        dispatch_pump(s.relay.dispatch);
        (void)uv_run(&s.relay.loop, UV_RUN_DEFAULT);
    } else {
        (void)fprintf(stderr, "sealpost: %s\n", err.text);
        s.exit_code = exit_code(&err);
    }
    shut(&s);
    return s.exit_code;
}
