#include "relay/daemon/serve_inside.h"

#include "relay/base/mem.h"
#include "relay/daemon/account.h"
#include "relay/daemon/cert_watch.h"
#include "relay/daemon/dispatch.h"
#include "relay/daemon/dkim_shelf.h"
#include "relay/daemon/dnssec.h"
#include "relay/daemon/doors.h"
#include "relay/daemon/notify.h"
#include "relay/daemon/sender_shelf.h"
#include "relay/daemon/user_book.h"
#include "relay/daemon/webhooks.h"
#include "relay/daemon/worker.h"
#include "relay/guard/gateway.h"

#include <stdlib.h>

static bool begin_reload(struct serve *s, struct buf *why);

void
serve_reload_part_done(void *ctx)
{
    struct serve *s = ctx;

    if (--s->reload_waits > 0)
        return;
    config_free(&s->old);
    notify_ready(s->relay.notify);
    serve_say(&s->relay, LOG_LEVEL_INFO, "config.reload", "result", "ok");
    metrics_count(s->relay.metrics, METRICS_RELOADS, "ok");
    atomic_store(&s->relay.reload_is_good, true);
    if (s->reload_again) {
        s->reload_again = false;
        (void)begin_reload(s, NULL);
    }
}

static void
swap_config(struct serve *s, struct config *next, struct server_tls **sets,
            const struct server_tls_facts *facts)
{
    s->old = s->relay.config;
    s->relay.config = next;
    log_change(s->relay.log, &next->log);
    serve_warn_of_mode(&s->relay);
    serve_warn_of_exemptions(&s->relay);
    dispatch_configure(s->relay.dispatch);
    user_book_configure(s->relay.user_book);
    s->relay.open_warnings = gateway_warn(s->relay.log, next);
    dkim_shelf_configure(s->relay.dkim);
    sender_shelf_configure(s->relay.senders);
    accounts_configure(s->relay.accounts);
    webhooks_configure(s->relay.webhooks);
    s->reload_waits = s->relay.worker_count + 1;
    for (unsigned i = 0; i < s->relay.worker_count; i++)
        worker_reload(s->relay.workers[i], next, sets[i],
                      serve_reload_part_done, s);
    cert_watch_configure(s->relay.cert_watch, facts);
    dnssec_configure(s->relay.dnssec); /* behind the reload, in each inbox */
    serve_reroute(s);
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
    serve_say(&s->relay, LOG_LEVEL_ERROR, "config.reload", "error", error);
    metrics_count(s->relay.metrics, METRICS_RELOADS, "failed");
    notify_ready(s->relay.notify);
    atomic_store(&s->relay.reload_is_good, false);
    if (why)
        buf_printf(why, "%s\n", error);
}

void
serve_log_notes(const struct serve *s, const struct config_errors *errs)
{
    for (size_t i = 0; i < errs->note_count; i++)
        serve_say(&s->relay, LOG_LEVEL_INFO, "config.note", "text",
                  errs->note[i]);
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
    serve_log_notes(s, &errs);
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
    struct serve *s = relay->serve;

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
