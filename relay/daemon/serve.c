#include "relay/daemon/serve_inside.h"

#include "relay/base/mem.h"
#include "relay/daemon/absence.h"
#include "relay/daemon/account.h"
#include "relay/daemon/cert_watch.h"
#include "relay/daemon/directory.h"
#include "relay/daemon/dispatch.h"
#include "relay/daemon/dkim_shelf.h"
#include "relay/daemon/dnssec.h"
#include "relay/daemon/doors.h"
#include "relay/daemon/expiring.h"
#include "relay/daemon/history.h"
#include "relay/daemon/login_desk.h"
#include "relay/daemon/maildrop.h"
#include "relay/daemon/notify.h"
#include "relay/daemon/process.h"
#include "relay/daemon/refresher.h"
#include "relay/daemon/sender_shelf.h"
#include "relay/daemon/tls_report.h"
#include "relay/daemon/user_book.h"
#include "relay/daemon/webhooks.h"
#include "relay/daemon/worker.h"
#include "relay/guard/gate.h"
#include "relay/guard/gateway.h"
#include "relay/guard/notice_pace.h"
#include "relay/guard/quota.h"
#include "relay/mail/date.h"
#include "relay/net/listen.h"
#include "relay/net/work.h"
#include "relay/watch/doubt.h"
#include "relay/watch/event_hub.h"
#include "relay/watch/recent.h"
#include "relay/watch/refusals.h"
#include "relay/watch/sites.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void
serve_say(const struct relay *relay, enum log_level level, const char *event,
          const char *key, const char *text)
{
    struct log_line line;

    log_begin(&line, relay->log, level, event);
    log_text(&line, key, text);
    log_end(&line);
}

void
serve_warn_of_mode(const struct relay *relay)
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

static void
log_exemption(const struct relay *relay, const struct config_domain *d)
{
    char until[MAIL_DATE_SIZE];
    struct log_line line;

    log_begin(&line, relay->log, LOG_LEVEL_WARNING, "policy.exempt");
    log_text(&line, "domain", d->name);
    log_text(&line, "reason", d->reason);
    log_text(&line, "until", mail_date_rfc3339(d->until_ms, until));
    log_end(&line);
}

void
serve_warn_of_exemptions(const struct relay *relay)
{
    const struct config *c = relay->config;

    for (size_t i = 0; i < c->domain_count; i++)
        if (c->domain[i].is_exemption &&
            c->domain[i].until_ms > net_clock_wall())
            log_exemption(relay, &c->domain[i]);
}

/* --- signals --- */

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

/* From here on it means nothing, and would end what is at its end: as a
 * failure, and with lines of the log still to be written. */
static void
unwatch(uv_signal_t *handle, int number)
{
    uv_close((uv_handle_t *)handle, NULL);
    (void)signal(number, SIG_IGN);
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
open_guards(struct relay *relay, struct err *err)
{
    struct hash_key key;

    arc4random_buf(&key, sizeof(key));
    relay->notice_pace = notice_pace_new(&key);
    relay->quota = quota_new();
    relay->login_desk = login_desk_open(relay->config->state_directory, err);
    if (!relay->login_desk)
        return false;
    relay->user_book = user_book_open(relay, err);
    relay->open_warnings = gateway_warn(relay->log, relay->config);
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

/* Whoever has taken all connections there has none of the commands'. */
static void
web_accepted(void *ctx, int fd, const struct addr *peer)
{
    struct serve *s = ctx;

    (void)peer;
    net_http_server_add(s->web_http, fd);
}

static struct net_http_server *
open_http(struct serve *s)
{
    struct net_http_server *server =
        net_http_server_new(&s->relay.loop, s->api->handle, s->api_ctx);

    net_http_server_hear_heads(server, s->api->head);
    return server;
}

static bool
open_control(struct serve *s, struct err *err)
{
    char *where scoped(own_free) =
        mem_printf("unix:%s", s->relay.config->control.socket);

    if (!directory_make_for(s->relay.config->control.socket, 0755, NULL, err))
        return err_in(err, "control.socket");
    s->api_ctx = s->api->open(&s->relay);
    s->http = open_http(s);
    s->control =
        net_listen_open(&s->relay.loop, where, 0600, control_accepted, s, err);
    return s->control || err_in(err, "control.socket");
}

static bool
open_web(struct serve *s, struct err *err)
{
    const char *where = s->relay.config->http.address;
    struct err why;

    if (!*where)
        return true;
    s->web_http = open_http(s);
    s->web = net_listen_open(&s->relay.loop, where, 0600, web_accepted, s, err);
    if (s->web)
        return true;
    why = *err;
    return err_set(err, why.kind,
                   "http.address: %.150s (http.address = \"\" opens none)",
                   why.text);
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
    relay->sites = sites_new();
    relay->doubt = doubt_new();
    relay->refusals = refusals_new();
    relay->recent = recent_new();
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
    if (relay->log) {
        relay->event_hub = event_hub_new(&relay->loop, relay->log);
        doors_log_unused(&s->doors);
    }
    relay->senders = sender_shelf_new(relay);
    if (!relay->log || !serve_open_store(s, err) || !open_guards(relay, err) ||
        !start_workers(s, err))
        return false;
    relay->dispatch = dispatch_new(relay);
    dispatch_configure(relay->dispatch);
    relay->absence = absence_watch(relay);
    relay->accounts = accounts_new(relay);
    relay->refresher = refresher_new(relay);
    relay->expiring = expiring_new(relay);
    relay->history = history_new(relay);
    relay->dnssec = dnssec_new(relay);
    relay->tls_report = tls_report_new(relay);
    relay->webhooks = webhooks_new(relay);
    if (!open_control(s, err) || !open_web(s, err) || !open_maildrop(s, err))
        return false;
    relay->notify = notify_new(relay);
    pulse_start(&relay->pulse, &relay->loop);
    return true;
}

static void
say_ready(const struct serve *s)
{
    const struct config *c = s->relay.config;
    const char *web = s->web ? net_listen_where(s->web) : "unix:";
    scoped(own_free) char *dashboard =
        strncmp(web, "unix:", 5) == 0 ? NULL : mem_printf("http://%s/", web);
    struct log_line line;

    log_begin(&line, s->relay.log, LOG_LEVEL_INFO, "relay.ready");
    log_text(&line, "hostname", c->hostname);
    log_text(&line, "listener", doors_where(&s->doors));
    log_int(&line, "listeners", (int64_t)s->doors.count);
    log_text(&line, "state_directory", c->state_directory);
    log_text(&line, "control", c->control.socket);
    log_text(&line, "dashboard", dashboard);
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
    doors_close(&s->doors);
    net_passed_done(&s->doors.passed);
    webhooks_free(&relay->webhooks); /* what waits is in the store */
    store_thread_stop(&relay->store);
    for (unsigned i = 0; i < relay->worker_count; i++)
        worker_stop(&relay->workers[i]);
    relay->worker_count = 0; /* for tasks that still come home */
    free(relay->workers);
    task_run_all(NULL, mailbox_take(&relay->inbox.box));
    if (s->api_ctx)
        s->api->close(s->api_ctx);
    net_http_server_free(&s->http); /* who asked has the answer now */
    net_http_server_free(&s->web_http);
    user_book_close(&relay->user_book);
    login_desk_close(&relay->login_desk);
    quota_free(&relay->quota);
    notice_pace_free(&relay->notice_pace);
    notify_free(&relay->notify);
    absence_free(&relay->absence);
    accounts_free(&relay->accounts);
    dispatch_free(&relay->dispatch);
    refresher_free(&relay->refresher);
    expiring_free(&relay->expiring);
    history_free(&relay->history);
    event_hub_free(&relay->event_hub);
    cert_watch_free(&relay->cert_watch);
    dnssec_free(&relay->dnssec);
    dkim_shelf_free(&relay->dkim);
    tls_report_free(&relay->tls_report);
    sender_shelf_free(&relay->senders);
    net_timer_free(&s->drain_timer);
    net_timer_free(&s->broken_timer);
    pulse_stop(&relay->pulse);
    unwatch(&s->on_term, SIGTERM);
    unwatch(&s->on_int, SIGINT);
    unwatch(&s->on_hup, SIGHUP);
    maildrop_stop(s->maildrop);
    net_inbox_close(&relay->inbox);
    (void)uv_run(&relay->loop, UV_RUN_DEFAULT);
    (void)uv_loop_close(&relay->loop);
    maildrop_free(&s->maildrop);
    gate_free(&relay->gate);
    if (s->over)
        serve_say(relay, LOG_LEVEL_INFO, "drain", "state", "done");
    log_close(&relay->log);
    metric_set_free(&relay->metrics);
    sites_free(&relay->sites);
    doubt_free(&relay->doubt);
    refusals_free(&relay->refusals);
    recent_free(&relay->recent);
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
    /* Heard once the start is through; until then they are kept. */
    watch(&s, &s.on_term, SIGTERM);
    watch(&s, &s.on_int, SIGINT);
    watch(&s, &s.on_hup, SIGHUP);
    net_inbox_open(&s.relay.inbox, &s.relay.loop, main_arrived, &s);
    if (start(&s, &err)) {
        serve_log_notes(&s, &errs);
        serve_warn_of_mode(&s.relay);
        serve_warn_of_exemptions(&s.relay);
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
