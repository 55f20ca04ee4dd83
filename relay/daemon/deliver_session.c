#include "relay/daemon/deliver_inside.h"

#include "relay/base/mem.h"
#include "relay/daemon/pool.h"
#include "relay/daemon/router.h"

#include <strings.h>

void
deliver_hang_up(struct deliver *d, bool politely)
{
    deliver_stop_body(d);
    net_work_cancel(&d->derive);
    if (d->conn && politely) {
        smtp_client_quit(d->smtp);
        net_conn_send(d->conn, smtp_client_output(d->smtp));
    }
    net_conn_close(&d->conn, politely ? DELIVER_GOODBYE_MS : 0);
    smtp_client_free(&d->smtp);
    deliver_note_doubt(d);
    own_free(&d->key);
}

static void
on_loop(struct deliver *d)
{
    char *how scoped(own_free) =
        mem_printf(": %s calls itself %s", deliver_here(d)->host->name,
                   smtp_client_capability(d->smtp)->name);

    deliver_hang_up(d, true);
    deliver_end_loop(d, how);
}

/* What was proven under another configuration, maybe by other trust anchors,
 * is worth nothing under this one. */
static void
keep_or_quit(struct deliver *d)
{
    if (d->messages >= deliver_messages_max(d) || d->worker->is_stopping ||
        !deliver_is_current(d)) {
        deliver_hang_up(d, true);
        return;
    }
    pool_put(d->worker->pool, d->key, &d->conn, &d->smtp, d->messages);
    own_free(&d->key);
}

/* The message's other recipients; on a new connection when this one has had
 * all that it takes. */
static void
fly_on(struct deliver *d)
{
    if (d->messages >= deliver_messages_max(d)) {
        deliver_hang_up(d, true);
        d->want = WANT_AGAIN;
    } else if (deliver_is_good_enough(d)) {
        deliver_start_mail(d);
    }
}

static void
on_ready(struct deliver *d)
{
    const struct config *c = d->worker->config;

    d->was_idle = false;
    if (d->messages == 0)
        deliver_count_session(d);
    if (d->messages == 0 && !d->in_clear) {
        struct tls_result_session told = deliver_session(d);

        tls_result_ready(d->tls_result, &told);
    }
    if (d->report && report_has_decided(d->report)) {
        bool was_too_much = d->report->is_throttled;

        if (deliver_has_more_to_fly(d)) {
            fly_on(d);
            return;
        }
        deliver_send_report(d, REPORT_REACHED);
        if (was_too_much) {
            deliver_hang_up(d, true);
            deliver_end_order(d);
            return;
        }
        if (d->done == d->count || !deliver_is_planned(d) ||
            d->messages >= deliver_messages_max(d)) {
            keep_or_quit(d);
            deliver_next_job(d);
            return;
        }
    } else if (!deliver_is_current(d)) {
        deliver_hang_up(d, true);
        d->want = WANT_PLAN;
        return;
    } else if (!deliver_is_good_enough(d)) {
        return;
    } else if (strcasecmp(smtp_client_capability(d->smtp)->name, c->hostname) ==
               0) {
        on_loop(d);
        return;
    }
    if (deliver_may_start(d))
        deliver_start_mail(d);
}

static struct net_tls *
tls_here(const struct deliver *d)
{
    bool gone;
    const struct config_route *route =
        router_route(d->worker->config, d->order->destination, &gone);

    return worker_tls(d->worker, deliver_here(d)->host->anchors, route);
}

static void
start_tls(struct deliver *d)
{
    struct candidate_pins pins;
    struct net_tls_setup setup =
        candidate_tls(deliver_here(d), tls_here(d), d->key, &pins);

    net_conn_send(d->conn, smtp_client_output(d->smtp));
    net_conn_start_tls(d->conn, &setup);
    net_conn_limit(d->conn, DELIVER_HANDSHAKE_MS);
    deliver_begin_phase(d, METRICS_HANDSHAKE);
    d->handshaking = true;
}

/* The connection is gone, or of no more use.  What became of the message? */
static void
lost(struct deliver *d, const struct mail_status *status, const char *step)
{
    bool in_doubt = d->smtp && smtp_client_is_in_doubt(d->smtp);
    bool decided = d->report && report_has_decided(d->report);

    if (d->was_idle && !decided && !in_doubt) {
        deliver_hang_up(d, false); /* it died while it waited: nobody's fault */
        d->want = WANT_AGAIN;
        return;
    }
    if (decided && !report_has_undecided(d->report)) {
        deliver_send_report(d, REPORT_REACHED); /* lost behind the last word */
        deliver_hang_up(d, false);
        deliver_next_job(d);
        return;
    }
    deliver_begin_report(d);
    deliver_fail_here(d, status, step);
    deliver_hang_up(d, false);
    if (in_doubt || decided) {
        bool was_too_much = d->report->is_throttled;

        report_decide_rest(d->report, status);
        deliver_send_report(d, REPORT_REACHED);
        if (was_too_much)
            deliver_end_order(d);
        else
            deliver_next_job(d);
        return;
    }
    d->want = WANT_NEXT;
}

/* Only where nothing has to be proven, and only on a new connection. */
static void
try_in_clear(struct deliver *d, const char *why)
{
    struct mail_status status = {0};

    mail_status_set(&status, 451, "4.7.5",
                    "%s: TLS failed (%s), trying without",
                    deliver_here(d)->host->name, why);
    deliver_begin_report(d);
    deliver_fail_here(d, &status, "TLS");
    deliver_hang_up(d, false);
    metric_add(d->worker->relay->metrics, METRICS_FALLBACKS, NULL, 1);
    d->in_clear = true;
    d->want = WANT_AGAIN;
}

static void
no_starttls(const struct deliver *d)
{
    struct tls_result_session told = deliver_session(d);

    tls_result_no_starttls(d->tls_result, &told);
}

static void
on_over(struct deliver *d, const struct smtp_client_event *ev)
{
    struct mail_status status = {0};
    const char *step = ev->command ? ev->command : smtp_client_step(d->smtp);
    const char *why = ev->err ? ev->err->text : "closed";

    switch (ev->end) {
    case SMTP_CLIENT_END_REFUSED:
        deliver_reply_status(ev->reply, &status);
        break;
    case SMTP_CLIENT_END_NO_STARTTLS:
        no_starttls(d);
        if (deliver_here(d)->proof == POLICY_PROOF_NONE) {
            try_in_clear(d, why);
            return;
        }
        mail_status_set(&status, 451, "4.7.5",
                        "%s: %s demands TLS, and it can't be had: %s",
                        deliver_here(d)->host->name,
                        candidate_policy(deliver_here(d)), why);
        deliver_count_unproven(d, POLICY_CAUSE_NO_TLS,
                               ev->reply && ev->reply->code / 100 == 4,
                               status.text);
        break;
    case SMTP_CLIENT_END_NO_AUTH:
    case SMTP_CLIENT_END_AUTH:
        deliver_auth_failed(d, ev);
        return;
    case SMTP_CLIENT_END_PROTOCOL:
    case SMTP_CLIENT_END_QUIT:
        mail_status_set(&status, 451, "4.5.0", "%s: %s",
                        deliver_here(d)->host->name, why);
        break;
    }
    lost(d, &status, step);
}

static void
act_on(struct deliver *d, const struct smtp_client_event *ev)
{
    switch (ev->kind) {
    case SMTP_CLIENT_START_TLS:
        start_tls(d);
        break;
    case SMTP_CLIENT_DERIVE:
        deliver_derive(d);
        break;
    case SMTP_CLIENT_READY:
        on_ready(d);
        break;
    case SMTP_CLIENT_RCPT:
        deliver_on_rcpt(d, ev);
        break;
    case SMTP_CLIENT_BODY:
        deliver_end_phase(d, METRICS_MAIL);
        deliver_begin_phase(d, METRICS_DATA);
        deliver_send_body(d);
        break;
    case SMTP_CLIENT_VERDICT:
        deliver_on_verdict(d, ev);
        break;
    case SMTP_CLIENT_OVER:
        on_over(d, ev);
        break;
    }
}

/* For the next step, and for the message in all: a peer that answers each
 * command late is not waited for all day.  The answer to the last dot is, since
 * without it the message would go out twice. */
static uint64_t
time_limit(const struct deliver *d)
{
    uint64_t step_ms = smtp_client_wait_s(d->smtp) * UINT64_C(1000);
    int64_t left_ms;

    if (step_ms == 0 || !d->report || smtp_client_is_in_doubt(d->smtp))
        return step_ms;
    left_ms = d->job_began_ms + DELIVER_ATTEMPT_MS - net_clock_steady();
    if (left_ms <= 0)
        return 1;
    return (uint64_t)left_ms < step_ms ? (uint64_t)left_ms : step_ms;
}

/* The limit is for a whole reply: octets alone do not set it anew. */
static void
mind_time(struct deliver *d)
{
    unsigned turn = smtp_client_wait_turn(d->smtp);

    if (turn == d->turn)
        return;
    d->turn = turn;
    net_conn_limit(d->conn, time_limit(d));
}

void
deliver_pump(struct deliver *d)
{
    struct smtp_client_event ev;

    while (d->smtp && d->want == WANT_NOTHING && smtp_client_next(d->smtp, &ev))
        act_on(d, &ev);
    deliver_note_doubt(d);
    if (!d->conn)
        return;
    net_conn_send(d->conn, smtp_client_output(d->smtp));
    mind_time(d);
}

static size_t
on_input(void *ctx, struct slice in)
{
    struct deliver *d = ctx;
    size_t used = 0;

    while (used < in.len && d->want == WANT_NOTHING && d->smtp) {
        used += smtp_client_feed(d->smtp, slice_from(in, used));
        deliver_pump(d);
    }
    deliver_settle(d);
    return in.len;
}

static void
tls_failed(struct deliver *d, const struct err *err)
{
    struct mail_status status = {0};
    const struct net_tls_facts *tls = net_conn_tls(d->conn);
    struct tls_result_session told = deliver_session(d);

    tls_result_failed(d->tls_result, &told, err);
    if (deliver_here(d)->proof == POLICY_PROOF_NONE) {
        try_in_clear(d, err->text);
        return;
    }
    mail_status_set(&status, 451, "4.7.5", "%s: %s demands %s, but: %s",
                    deliver_here(d)->host->name,
                    candidate_policy(deliver_here(d)),
                    candidate_demand(deliver_here(d)),
                    tls && tls->why[0] ? tls->why : err->text);
    deliver_count_unproven(d, deliver_cause(d), err->kind != ERR_TLS,
                           status.text);
    lost(d, &status, "TLS");
}

static void
on_secured(void *ctx, const struct err *err)
{
    struct deliver *d = ctx;

    d->handshaking = false;
    if (!err)
        deliver_end_phase(d, METRICS_HANDSHAKE);
    if (err) {
        tls_failed(d, err);
    } else if (deliver_here(d)->implicit_tls) {
        d->turn = UINT32_MAX;
        mind_time(d);
    } else {
        smtp_client_tls_up(d->smtp);
        deliver_pump(d);
    }
    deliver_settle(d);
}

static void
on_drained(void *ctx)
{
    struct deliver *d = ctx;

    if (d->waits_to_send) {
        d->waits_to_send = false;
        deliver_read_body(d);
    }
}

static void
on_late(void *ctx)
{
    struct deliver *d = ctx;
    struct mail_status status = {0};

    if (d->handshaking) {
        struct err err;

        d->handshaking = false;
        err_set(&err, ERR_TIMEOUT, "the handshake took too long");
        tls_failed(d, &err);
        deliver_settle(d);
        return;
    }
    mail_status_set(&status, 451, "4.4.2", "%s: no answer in time to %s%s",
                    deliver_here(d)->host->name, smtp_client_step(d->smtp),
                    smtp_client_is_in_doubt(d->smtp)
                        ? "; the message may have been delivered"
                        : "");
    lost(d, &status, smtp_client_step(d->smtp));
    deliver_settle(d);
}

/* In TLS 1.3 a server may refuse us when to us the handshake is over: what it
 * says then comes in place of the first reply. */
static bool
is_late_refusal(const struct deliver *d, const struct err *err)
{
    return err && err->kind == ERR_TLS && net_conn_tls(d->conn) &&
           !d->was_idle && d->messages == 0;
}

static void
on_ended(void *ctx, const struct err *err)
{
    struct deliver *d = ctx;
    struct mail_status status = {0};

    if (is_late_refusal(d, err)) {
        tls_failed(d, err);
        deliver_settle(d);
        return;
    }
    mail_status_set(&status, 451, "4.4.2",
                    "%s: the connection was %s during %s%s",
                    deliver_here(d)->host->name, err ? "lost" : "closed",
                    smtp_client_step(d->smtp),
                    smtp_client_is_in_doubt(d->smtp)
                        ? "; the message may have been delivered"
                        : "");
    lost(d, &status, smtp_client_step(d->smtp));
    deliver_settle(d);
}

static const struct net_conn_events events = {
    .input = on_input,
    .secured = on_secured,
    .drained = on_drained,
    .late = on_late,
    .ended = on_ended,
};

static enum smtp_client_tls
tls_level(const struct deliver *d)
{
    if (deliver_here(d)->implicit_tls || d->in_clear)
        return SMTP_CLIENT_TLS_NEVER;
    switch (deliver_here(d)->proof) {
    case POLICY_PROOF_CLEAR:
        return SMTP_CLIENT_TLS_NEVER;
    case POLICY_PROOF_NONE:
        return SMTP_CLIENT_TLS_OFFERED;
    case POLICY_PROOF_ENCRYPT:
    case POLICY_PROOF_PKIX:
    case POLICY_PROOF_DANE:
        break;
    }
    return SMTP_CLIENT_TLS_REQUIRED;
}

static void
dialled(void *ctx, int fd, const struct err *err)
{
    struct deliver *d = ctx;
    struct mail_status status = {0};

    outage_note(d->worker->outage, &deliver_here(d)->address, err == NULL,
                net_clock_steady());
    if (err) {
        char address[ADDR_TEXT_SIZE];

        mail_status_set(
            &status, 451, "4.4.1", "%s [%s]: %s", deliver_here(d)->host->name,
            addr_text_port(&deliver_here(d)->address, address), err->text);
        lost(d, &status, "connect");
        deliver_settle(d);
        return;
    }
    deliver_end_phase(d, METRICS_CONNECT);
    metrics_count(d->worker->relay->metrics, METRICS_CONNECTIONS_OUT, "new");
    d->messages = 0;
    d->conn = net_conn_new(&d->worker->loop, fd, &events, d);
    d->smtp = smtp_client_new(d->worker->config->hostname, tls_level(d));
    deliver_authenticate(d);
    net_conn_open(d->conn);
    d->turn = UINT32_MAX;
    mind_time(d);
    if (deliver_here(d)->implicit_tls)
        start_tls(d);
}

/* Shorter when there is another one to try. */
static void
dial(struct deliver *d)
{
    const struct candidate *here = deliver_here(d);
    bool is_last = d->candidate + 1 == d->candidate_count;
    bool has_source = here->source.any.sa_family != AF_UNSPEC;

    deliver_begin_phase(d, METRICS_CONNECT);
    net_dial_start(&d->dial, &d->worker->loop, &here->address,
                   has_source ? &here->source : NULL,
                   is_last ? DELIVER_CONNECT_MS : DELIVER_CONNECT_SOON_MS,
                   dialled, d);
}

/* What a route's own certificate and account have opened serves its mail only.
 */
static char *
key_of(const struct deliver *d)
{
    scoped(own_free) char *key = candidate_key(deliver_here(d), d->in_clear);

    return mem_printf("%s %s", key, deliver_identity(d));
}

void
deliver_connect(struct deliver *d, bool may_share)
{
    d->key = key_of(d);
    d->lost_requiretls = false;
    d->began_ms = net_clock_steady();
    if (may_share && deliver_is_current(d) &&
        pool_take(d->worker->pool, d->key, &d->conn, &d->smtp, &d->messages)) {
        metrics_count(d->worker->relay->metrics, METRICS_CONNECTIONS_OUT,
                      "reused");
        net_conn_own(d->conn, &events, d);
        d->was_idle = true;
        d->turn = UINT32_MAX;
        if (!deliver_is_good_enough(d))
            return;
        deliver_start_mail(d);
        deliver_pump(d);
        return;
    }
    d->was_idle = false;
    dial(d);
}
