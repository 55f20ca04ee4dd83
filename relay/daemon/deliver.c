#include "relay/daemon/deliver.h"

#include "policy/plan.h"
#include "relay/base/mem.h"
#include "relay/base/text.h"
#include "relay/daemon/candidate.h"
#include "relay/daemon/dispatch.h"
#include "relay/daemon/pool.h"
#include "relay/daemon/report.h"
#include "relay/daemon/resolver.h"
#include "relay/daemon/router.h"
#include "relay/daemon/tls_result.h"
#include "relay/net/dial.h"
#include "smtp/client.h"

#include <assert.h>
#include <stdlib.h>
#include <strings.h>

/* What to do once the callback under way has done its work. */
enum want {
    WANT_NOTHING,
    WANT_PLAN,  /* the next message, and a plan for it */
    WANT_JOB,   /* the next message, over whatever connection */
    WANT_AGAIN, /* the same address, a fresh connection */
    WANT_NEXT,  /* the next address */
    WANT_END,   /* the order is over */
};

struct body_call;

struct deliver {
    struct worker *worker;
    struct deliver *next, **at; /* of worker->deliveries */
    struct queue_order *order;  /* not to be touched behind the last report */
    size_t done, count;         /* of its jobs */
    struct resolver_wait *wait;
    struct policy_plan plan;
    bool requiretls, tls_required_no; /* of the messages that it is for */
    struct tls_result *tls_result;    /* NULL: nobody is told how TLS went */
    struct candidate candidates[POLICY_ADDRESSES_MAX];
    size_t candidate_count, candidate; /* `candidate`: the one under way */
    bool in_clear; /* opportunistic TLS failed at this address: without it */
    char *key;     /* of the connection; see candidate_key */

    struct net_dial *dial;
    struct net_conn *conn;
    struct smtp_client *smtp;
    bool was_idle; /* the connection came out of the pool, and has not taken
                      a message since */
    bool handshaking;
    unsigned messages;
    unsigned turn; /* the engine's, that the time limit is for */

    struct report *report; /* of the job under way; NULL: none begun */
    int64_t began_ms;      /* of the attempt */
    int64_t job_began_ms;
    unsigned failures;       /* of addresses; */
    unsigned unproven;       /* those that did not prove what the plan wants */
    bool got_ready;          /* the peer came as far as MAIL for this job */
    struct mail_status last; /* of the last failure */
    const char *step;        /* where it happened */
    struct body_call *body;  /* a piece on its way from the store */
    unsigned sequence;
    uint64_t body_sent;
    bool waits_to_send;
    enum want want;
};

struct body_call {
    struct store_call call;
    struct deliver *deliver; /* NULL: it no longer wants it */
    uint64_t id;
    unsigned sequence;
    struct buf piece;
};

static void settle(struct deliver *d);
static void plan_job(struct deliver *d);
static void pump(struct deliver *d);

static struct queue_job *
job(const struct deliver *d)
{
    return d->order->jobs[d->done];
}

static const struct candidate *
here(const struct deliver *d)
{
    return &d->candidates[d->candidate];
}

/* The server may have its last word while the body is still on its way. */
static void
stop_body(struct deliver *d)
{
    if (d->body)
        d->body->deliver = NULL;
    d->body = NULL;
    d->waits_to_send = false;
}

/* --- connections --- */

static void
hang_up(struct deliver *d, bool politely)
{
    stop_body(d);
    if (d->conn && politely) {
        smtp_client_quit(d->smtp);
        net_conn_send(d->conn, smtp_client_output(d->smtp));
    }
    net_conn_close(&d->conn, politely ? DELIVER_GOODBYE_MS : 0);
    smtp_client_free(&d->smtp);
    own_free(&d->key);
}

/* --- recording --- */

static void
describe_tls(struct deliver *d, struct queue_attempt *a)
{
    const struct net_tls_facts *tls = d->conn ? net_conn_tls(d->conn) : NULL;

    if (!tls)
        return;
    if (tls->version[0]) {
        a->tls_version = mem_text(tls->version);
        a->tls_cipher = mem_text(tls->cipher);
    }
    a->verdict = tls->verdict == NET_TLS_VERIFIED || !tls->why[0]
                     ? mem_text(net_tls_verdict_name(tls->verdict))
                     : mem_printf("%s: %s", net_tls_verdict_name(tls->verdict),
                                  tls->why);
}

/* Of the session under way, for reports about TLS. */
static struct tls_result_session
session(const struct deliver *d)
{
    return (struct tls_result_session){
        .message = job(d)->message,
        .candidate = here(d),
        .conn = d->conn,
        .helo = smtp_client_capability(d->smtp)->name,
    };
}

static char *
status_text(const struct mail_status *s)
{
    char enhanced[16];

    return mem_printf("%d %s %s", s->code, mail_status_enhanced(s, enhanced),
                      s->text);
}

/* One line of the message's history: what was tried here, and the outcome. */
static void
record(struct deliver *d, const struct mail_status *status, const char *step)
{
    struct queue_attempt *a = report_add(d->report);
    char address[ADDR_TEXT_SIZE];

    a->at_ms = net_clock_wall();
    a->took_ms = net_clock_steady() - d->began_ms;
    a->reply = status_text(status);
    a->step = mem_text(step);
    if (d->candidate < d->candidate_count) {
        a->host = mem_text(here(d)->host->name);
        a->address = mem_text(addr_text_port(&here(d)->address, address));
        a->policy = mem_text(candidate_policy(here(d)));
        a->proof = mem_text(policy_proof_name(here(d)->proof));
        describe_tls(d, a);
    } else if (d->plan.verdict != POLICY_GO) {
        a->policy = mem_text(policy_source_name(d->plan.source));
    }
}

static void
log_attempt(struct deliver *d, const struct mail_status *status,
            const char *step)
{
    struct log_line line;
    char address[ADDR_TEXT_SIZE];

    log_begin(&line, d->worker->relay->log, LOG_LEVEL_INFO, "delivery.attempt");
    log_id(&line, "mid", job(d)->message->id);
    log_text(&line, "destination", d->order->destination);
    if (d->candidate < d->candidate_count) {
        log_text(&line, "mx", here(d)->host->name);
        log_text(&line, "mx_ip", addr_text_port(&here(d)->address, address));
        log_text(&line, "policy", candidate_policy(here(d)));
        log_text(&line, "proof", policy_proof_name(here(d)->proof));
    }
    log_text(&line, "step", step);
    log_int(&line, "code", status->code);
    log_text(&line, "reason", status->text);
    log_end(&line);
}

/* This address did not do; the reason is kept in case that none does. */
static void
fail_here(struct deliver *d, const struct mail_status *status, const char *step)
{
    d->failures++;
    d->last = *status;
    d->step = step;
    record(d, status, step);
    log_attempt(d, status, step);
}

/* --- jobs --- */

static void
begin_report(struct deliver *d)
{
    if (d->report)
        return;
    d->report = report_new(d->order, job(d));
    d->job_began_ms = net_clock_steady();
    d->got_ready = false;
    d->failures = d->unproven = 0;
}

static void
send_report(struct deliver *d, enum report_contact contact)
{
    d->report->contact = contact;
    if (d->conn && d->smtp)
        d->report->peer_has_dsn = smtp_client_capability(d->smtp)->dsn;
    if (d->candidate < d->candidate_count && !d->report->remote)
        d->report->remote = mem_text(here(d)->host->name);
    d->report->is_last = ++d->done == d->count;
    dispatch_report(d->worker->relay, take(&d->report));
}

/* The order ends here; what was not begun is tried again another time. */
static void
end_order(struct deliver *d)
{
    while (d->done < d->count) {
        begin_report(d);
        send_report(d, REPORT_NOT_TRIED);
    }
    d->want = WANT_END;
}

/* Messages of one order may ask for different things (RFC 8689). */
static bool
is_planned(const struct deliver *d)
{
    const struct queue_message *m = job(d)->message;

    return m->envelope.requiretls == d->requiretls &&
           m->tls_required_no == d->tls_required_no;
}

static void
next_job(struct deliver *d)
{
    if (d->done == d->count)
        d->want = WANT_END;
    else
        d->want = is_planned(d) ? WANT_JOB : WANT_PLAN;
}

/* The same for the message that comes next, and for those behind it that ask
 * for the same: nothing about the messages themselves. */
static void
decide_all(struct deliver *d, const struct mail_status *status,
           const char *step)
{
    do {
        begin_report(d);
        d->began_ms = net_clock_steady();
        record(d, status, step);
        report_decide_rest(d->report, status);
        send_report(d, REPORT_REACHED);
    } while (d->done < d->count && is_planned(d));
    next_job(d);
}

static void
put_off(struct deliver *d, const struct mail_status *status)
{
    report_decide_rest(d->report, status);
    /* What REQUIRETLS asks of a host says nothing of other mail. */
    send_report(d, d->got_ready || d->requiretls ? REPORT_REACHED
                                                 : REPORT_UNREACHED);
    if (d->done < d->count)
        end_order(d);
    else
        d->want = WANT_END;
}

/* No host was passed over that might do. */
static bool
is_all_tried(const struct deliver *d)
{
    size_t addresses = 0;

    for (size_t i = 0; i < d->plan.host_count; i++)
        addresses += d->plan.hosts[i].address_count;
    return !d->plan.is_partial && addresses <= POLICY_ADDRESSES_MAX &&
           d->candidate + 1 >= d->candidate_count;
}

static void
all_failed(struct deliver *d)
{
    struct mail_status status = d->last;

    if (d->requiretls && d->unproven == d->failures && is_all_tried(d)) {
        /* No host can be had that keeps the promise: RFC 8689 section 4.2.1. */
        status.code = 550;
        status.klass = 5;
        report_decide_rest(d->report, &status);
        send_report(d, REPORT_REACHED);
        next_job(d);
        return;
    }
    /* A host's refusal of us is no refusal of the message: RFC 5321 section
     * 5.1 has us try the others, and later again. */
    if (!mail_status_is_transient(&status))
        mail_status_set(&status, 451, "4.4.1", "%d %s", d->last.code,
                        d->last.text);
    put_off(d, &status);
}

/* --- the message --- */

/* What can't be recorded would be delivered again: it is not even begun; nor
 * is what the end of the relay might cut off. */
static bool
may_start(struct deliver *d)
{
    if (atomic_load(&d->worker->relay->store_is_healthy) &&
        !d->worker->is_stopping)
        return true;
    end_order(d);
    return false;
}

static void
start_mail(struct deliver *d)
{
    const struct queue_job *j = job(d);
    struct smtp_client_mail mail = {
        .envelope = &j->message->envelope,
        .rcpt = j->rcpt,
        .rcpt_count = j->rcpt_count,
        .size = j->message->size,
        .has_8bit = j->message->has_8bit,
    };

    begin_report(d);
    d->began_ms = net_clock_steady();
    d->got_ready = true;
    d->messages++;
    smtp_client_mail(d->smtp, &mail);
}

static void
lose(struct deliver *d, const char *why)
{
    struct mail_status status = {0};

    mail_status_set(&status, 451, "4.3.0", "%s", why);
    fail_here(d, &status, "body");
    hang_up(d, false); /* without its end the message counts for nothing */
    report_decide_rest(d->report, &status);
    send_report(d, REPORT_REACHED);
    next_job(d);
}

static bool
work_body(struct store_call *call, struct queue_store *store, struct err *err)
{
    struct body_call *x = own_container(call, struct body_call, call);

    buf_clear(&x->piece);
    return queue_store_read(store, x->id, x->sequence, &x->piece, err);
}

static void read_body(struct deliver *d);

static void
send_piece(struct deliver *d, const struct body_call *x)
{
    uint64_t size = job(d)->message->size;

    if (x->call.failed) {
        lose(d, "the message's body can't be read from the queue");
        return;
    }
    d->body_sent += x->piece.len;
    smtp_client_body(d->smtp, buf_slice(&x->piece));
    if (d->body_sent >= size)
        smtp_client_body_end(d->smtp);
    pump(d);
    if (d->body_sent >= size || d->want != WANT_NOTHING)
        return;
    if (net_conn_is_full(d->conn))
        d->waits_to_send = true;
    else
        read_body(d);
}

static void
body_read(struct task *task)
{
    struct body_call *x = own_container(task, struct body_call, call.task);
    struct deliver *d = x->deliver;

    if (d) {
        d->body = NULL;
        send_piece(d, x);
    }
    buf_free(&x->piece);
    free(x);
    if (d)
        settle(d);
}

static void
read_body(struct deliver *d)
{
    struct body_call *x = mem_new(struct body_call);

    x->call.work = work_body;
    x->call.task.run = body_read;
    x->call.home = &d->worker->inbox;
    x->deliver = d;
    x->id = job(d)->message->id;
    x->sequence = d->sequence++;
    d->body = x;
    store_thread_post(d->worker->relay->store, &x->call);
}

static void
send_body(struct deliver *d)
{
    const struct queue_message *m = job(d)->message;

    if (m->body.len > 0) {
        smtp_client_body(d->smtp, buf_slice(&m->body));
        smtp_client_body_end(d->smtp);
        return;
    }
    d->sequence = 0;
    d->body_sent = 0;
    read_body(d);
}

/* --- what the engine says --- */

static void
reply_status(const struct smtp_reply *reply, struct mail_status *out)
{
    mail_status_from_reply(out, reply->code,
                           (struct slice){reply->text, reply->len});
}

static void
on_verdict(struct deliver *d, const struct smtp_client_event *ev)
{
    struct mail_status status;

    stop_body(d);
    reply_status(ev->reply, &status);
    record(d, &status, ev->command);
    report_decide_rest(d->report, &status);
}

static void
on_rcpt(struct deliver *d, const struct smtp_client_event *ev)
{
    struct mail_status status;

    reply_status(ev->reply, &status);
    if (mail_status_is_success(&status))
        return; /* the verdict will tell */
    if (status.code == 552 && ev->rcpt > 0) {
        /* Too many recipients, by an old code: RFC 5321 section
         * 4.5.3.1.10. */
        status.code = 452;
        status.klass = status.klass ? 4 : 0;
    }
    record(d, &status, ev->command);
    report_decide(d->report, ev->rcpt, &status);
}

/* A domain that leads back to us can't be delivered to.  A route that does so
 * is a mistake of ours, and not the last word on its mail. */
static void
end_loop(struct deliver *d, const char *how)
{
    struct mail_status status = {0};
    bool gone;
    bool is_route =
        router_route(d->worker->config, d->order->destination, &gone) != NULL;

    mail_status_set(&status, is_route ? 451 : 554, is_route ? "4.4.6" : "5.4.6",
                    "mail for %s loops back to this relay%s",
                    d->order->destination, how);
    if (!is_route) {
        decide_all(d, &status, "policy");
        return;
    }
    begin_report(d);
    d->began_ms = net_clock_steady();
    fail_here(d, &status, "route");
    put_off(d, &status);
}

static void
on_loop(struct deliver *d)
{
    char *how scoped(own_free) =
        mem_printf(": %s calls itself %s", here(d)->host->name,
                   smtp_client_capability(d->smtp)->name);

    hang_up(d, true);
    end_loop(d, how);
}

static void
keep_or_quit(struct deliver *d)
{
    const struct config *c = d->worker->config;

    if (d->messages >= c->delivery.messages_per_connection ||
        d->worker->is_stopping) {
        hang_up(d, true);
        return;
    }
    pool_put(d->worker->pool, d->key, &d->conn, &d->smtp, d->messages);
    own_free(&d->key);
}

static void
count_unproven(struct deliver *d)
{
    begin_report(d);
    d->unproven++;
    atomic_fetch_add(&d->worker->relay->counters.policy_refusals, 1);
}

static bool
lacks_requiretls(const struct deliver *d)
{
    return here(d)->host->requires_requiretls &&
           !smtp_client_capability(d->smtp)->requiretls;
}

static void
no_requiretls(struct deliver *d)
{
    struct mail_status status = {0};

    mail_status_set(&status, 450, "4.7.30",
                    "%s: the message needs REQUIRETLS, which this host does "
                    "not offer",
                    here(d)->host->name);
    count_unproven(d);
    fail_here(d, &status, "EHLO");
    hang_up(d, true);
    d->want = WANT_NEXT;
}

static void
on_ready(struct deliver *d)
{
    const struct config *c = d->worker->config;

    d->was_idle = false;
    if (d->messages == 0 && !d->in_clear) {
        struct tls_result_session told = session(d);

        tls_result_ready(d->tls_result, &told);
    }
    if (d->report && report_has_decided(d->report)) {
        send_report(d, REPORT_REACHED);
        if (d->done == d->count || !is_planned(d) ||
            d->messages >= c->delivery.messages_per_connection) {
            keep_or_quit(d);
            next_job(d);
            return;
        }
    } else if (lacks_requiretls(d)) {
        no_requiretls(d);
        return;
    } else if (strcasecmp(smtp_client_capability(d->smtp)->name, c->hostname) ==
               0) {
        on_loop(d);
        return;
    }
    if (may_start(d))
        start_mail(d);
}

static void
start_tls(struct deliver *d)
{
    struct candidate_pins pins;
    struct net_tls_setup setup =
        candidate_tls(here(d), d->worker->tls_mx, d->key, &pins);

    net_conn_send(d->conn, smtp_client_output(d->smtp));
    net_conn_start_tls(d->conn, &setup);
    net_conn_limit(d->conn, DELIVER_HANDSHAKE_MS);
    d->handshaking = true;
}

/* The connection is gone, or of no more use.  What became of the message? */
static void
lost(struct deliver *d, const struct mail_status *status, const char *step)
{
    bool in_doubt = d->smtp && smtp_client_is_in_doubt(d->smtp);
    bool decided = d->report && report_has_decided(d->report);

    if (d->was_idle && !decided && !in_doubt) {
        hang_up(d, false); /* it died while it waited: nobody's fault */
        d->want = WANT_AGAIN;
        return;
    }
    if (decided && !report_has_undecided(d->report)) {
        send_report(d, REPORT_REACHED); /* lost behind the last word */
        hang_up(d, false);
        next_job(d);
        return;
    }
    begin_report(d);
    fail_here(d, status, step);
    hang_up(d, false);
    if (in_doubt || decided) {
        report_decide_rest(d->report, status);
        send_report(d, REPORT_REACHED);
        next_job(d);
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
                    "%s: TLS failed (%s), trying without", here(d)->host->name,
                    why);
    begin_report(d);
    fail_here(d, &status, "TLS");
    hang_up(d, false);
    d->in_clear = true;
    d->want = WANT_AGAIN;
}

static void
no_starttls(const struct deliver *d)
{
    struct tls_result_session told = session(d);

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
        reply_status(ev->reply, &status);
        break;
    case SMTP_CLIENT_END_NO_STARTTLS:
        no_starttls(d);
        if (here(d)->proof == POLICY_PROOF_NONE) {
            try_in_clear(d, why);
            return;
        }
        mail_status_set(&status, 451, "4.7.5",
                        "%s: %s demands TLS, and it can't be had: %s",
                        here(d)->host->name, candidate_policy(here(d)), why);
        count_unproven(d);
        break;
    case SMTP_CLIENT_END_PROTOCOL:
    case SMTP_CLIENT_END_QUIT:
        mail_status_set(&status, 451, "4.5.0", "%s: %s", here(d)->host->name,
                        why);
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
    case SMTP_CLIENT_READY:
        on_ready(d);
        break;
    case SMTP_CLIENT_RCPT:
        on_rcpt(d, ev);
        break;
    case SMTP_CLIENT_BODY:
        send_body(d);
        break;
    case SMTP_CLIENT_VERDICT:
        on_verdict(d, ev);
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

static void
pump(struct deliver *d)
{
    struct smtp_client_event ev;

    while (d->smtp && d->want == WANT_NOTHING && smtp_client_next(d->smtp, &ev))
        act_on(d, &ev);
    if (!d->conn)
        return;
    net_conn_send(d->conn, smtp_client_output(d->smtp));
    mind_time(d);
}

/* --- what the connection tells --- */

static size_t
on_input(void *ctx, struct slice in)
{
    struct deliver *d = ctx;
    size_t used = 0;

    while (used < in.len && d->want == WANT_NOTHING && d->smtp) {
        used += smtp_client_feed(d->smtp, slice_from(in, used));
        pump(d);
    }
    settle(d);
    return in.len;
}

static void
tls_failed(struct deliver *d, const struct err *err)
{
    struct mail_status status = {0};
    const struct net_tls_facts *tls = net_conn_tls(d->conn);
    struct tls_result_session told = session(d);

    tls_result_failed(d->tls_result, &told, err);
    if (here(d)->proof == POLICY_PROOF_NONE) {
        try_in_clear(d, err->text);
        return;
    }
    mail_status_set(&status, 451, "4.7.5", "%s: %s demands %s, but: %s",
                    here(d)->host->name, candidate_policy(here(d)),
                    candidate_demand(here(d)),
                    tls && tls->why[0] ? tls->why : err->text);
    count_unproven(d);
    lost(d, &status, "TLS");
}

static void
on_secured(void *ctx, const struct err *err)
{
    struct deliver *d = ctx;

    d->handshaking = false;
    if (err) {
        tls_failed(d, err);
    } else if (here(d)->implicit_tls) {
        d->turn = UINT32_MAX;
        mind_time(d);
    } else {
        smtp_client_tls_up(d->smtp);
        pump(d);
    }
    settle(d);
}

static void
on_drained(void *ctx)
{
    struct deliver *d = ctx;

    if (d->waits_to_send) {
        d->waits_to_send = false;
        read_body(d);
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
        settle(d);
        return;
    }
    mail_status_set(&status, 451, "4.4.2", "%s: no answer in time to %s%s",
                    here(d)->host->name, smtp_client_step(d->smtp),
                    smtp_client_is_in_doubt(d->smtp)
                        ? "; the message may have been delivered"
                        : "");
    lost(d, &status, smtp_client_step(d->smtp));
    settle(d);
}

static void
on_ended(void *ctx, const struct err *err)
{
    struct deliver *d = ctx;
    struct mail_status status = {0};

    mail_status_set(
        &status, 451, "4.4.2", "%s: the connection was %s during %s%s",
        here(d)->host->name, err ? "lost" : "closed", smtp_client_step(d->smtp),
        smtp_client_is_in_doubt(d->smtp)
            ? "; the message may have been delivered"
            : "");
    lost(d, &status, smtp_client_step(d->smtp));
    settle(d);
}

static const struct net_conn_events events = {
    .input = on_input,
    .secured = on_secured,
    .drained = on_drained,
    .late = on_late,
    .ended = on_ended,
};

/* --- getting a connection --- */

static enum smtp_client_tls
tls_level(const struct deliver *d)
{
    if (here(d)->implicit_tls || d->in_clear)
        return SMTP_CLIENT_TLS_NEVER;
    switch (here(d)->proof) {
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

    if (err) {
        char address[ADDR_TEXT_SIZE];

        mail_status_set(&status, 451, "4.4.1", "%s [%s]: %s",
                        here(d)->host->name,
                        addr_text_port(&here(d)->address, address), err->text);
        lost(d, &status, "connect");
        settle(d);
        return;
    }
    atomic_fetch_add_explicit(&d->worker->relay->counters.connections_out, 1,
                              memory_order_relaxed);
    d->messages = 0;
    d->conn = net_conn_new(&d->worker->loop, fd, &events, d);
    d->smtp = smtp_client_new(d->worker->config->hostname, tls_level(d));
    net_conn_open(d->conn);
    d->turn = UINT32_MAX;
    mind_time(d);
    if (here(d)->implicit_tls)
        start_tls(d);
}

/* The source address of the same family, when some are configured. */
static const struct addr *
source(const struct deliver *d)
{
    const struct config *c = d->worker->config;

    for (size_t i = 0; i < c->delivery.bind_count; i++)
        if (c->delivery.bind[i].any.sa_family == here(d)->address.any.sa_family)
            return &c->delivery.bind[i];
    return NULL;
}

static void
connect_here(struct deliver *d, bool may_share)
{
    d->key = candidate_key(here(d), d->in_clear);
    d->began_ms = net_clock_steady();
    if (may_share &&
        pool_take(d->worker->pool, d->key, &d->conn, &d->smtp, &d->messages)) {
        atomic_fetch_add_explicit(
            &d->worker->relay->counters.connections_reused, 1,
            memory_order_relaxed);
        net_conn_own(d->conn, &events, d);
        d->was_idle = true;
        d->turn = UINT32_MAX;
        if (lacks_requiretls(d)) {
            no_requiretls(d);
            return;
        }
        start_mail(d);
        pump(d);
        return;
    }
    d->was_idle = false;
    net_dial_start(&d->dial, &d->worker->loop, &here(d)->address, source(d),
                   DELIVER_CONNECT_MS, dialled, d);
}

static void
first_address(struct deliver *d)
{
    if (!may_start(d))
        return;
    begin_report(d);
    d->candidate = 0;
    d->in_clear = false;
    connect_here(d, true);
}

static void
next_address(struct deliver *d)
{
    if (d->candidate + 1 >= d->candidate_count ||
        net_clock_steady() - d->job_began_ms > DELIVER_ATTEMPT_MS) {
        all_failed(d);
        return;
    }
    d->candidate++;
    d->in_clear = false;
    connect_here(d, true);
}

/* The only place where an order ends; called last by every callback. */
static void
settle(struct deliver *d)
{
    while (d->want != WANT_NOTHING) {
        enum want want = d->want;

        d->want = WANT_NOTHING;
        switch (want) {
        case WANT_NOTHING:
            break;
        case WANT_PLAN:
            hang_up(d, true);
            plan_job(d);
            break;
        case WANT_JOB:
            hang_up(d, true);
            first_address(d);
            break;
        case WANT_AGAIN:
            connect_here(d, false);
            break;
        case WANT_NEXT:
            next_address(d);
            break;
        case WANT_END:
            hang_up(d, true);
            *d->at = d->next;
            if (d->next)
                d->next->at = d->at;
            policy_plan_done(&d->plan);
            tls_result_free(&d->tls_result);
            free(d);
            return;
        }
    }
}

/* --- the plan --- */

/* What would have been otherwise, were policies enforced here. */
static void
log_shadow(const struct deliver *d, const struct policy_shadow *shadow)
{
    struct log_line line;

    log_begin(&line, d->worker->relay->log, LOG_LEVEL_WARNING, "policy.shadow");
    log_text(&line, "destination", d->order->destination);
    log_text(&line, "mx", shadow->name[0] ? shadow->name : NULL);
    log_text(&line, "policy", policy_source_name(shadow->source));
    log_text(&line, "would",
             shadow->is_refused ? "refuse" : policy_proof_name(shadow->proof));
    log_text(&line, "reason", shadow->why);
    log_end(&line);
    atomic_fetch_add(&d->worker->relay->counters.policy_shadowed, 1);
}

static void
make_plan(struct deliver *d, const struct policy_facts *facts)
{
    struct policy_inputs in = router_inputs(
        d->worker->config, d->order->destination, facts, net_clock_wall());

    in.requiretls = d->requiretls;
    in.tls_required_no = d->tls_required_no;
    policy_plan_done(&d->plan);
    policy_plan_make(&in, &d->plan);
    for (size_t i = 0; i < d->plan.shadow_count; i++)
        log_shadow(d, &d->plan.shadow[i]);
    tls_result_free(&d->tls_result);
    if (!in.is_route)
        d->tls_result = tls_result_new(d->worker, facts, &d->plan);
}

static void
plan_made(struct deliver *d, const struct config_route *route)
{
    bool loops;

    d->candidate = d->candidate_count = 0;
    switch (d->plan.verdict) {
    case POLICY_GO:
        break;
    case POLICY_DEFER:
        if (d->plan.source != POLICY_SOURCE_DEFAULT)
            atomic_fetch_add(&d->worker->relay->counters.policy_refusals, 1);
        if (d->requiretls) { /* what others would get is not known by it */
            decide_all(d, &d->plan.status, "policy");
            return;
        }
        begin_report(d);
        d->began_ms = net_clock_steady();
        fail_here(d, &d->plan.status, "policy");
        put_off(d, &d->plan.status);
        return;
    case POLICY_REFUSE:
        decide_all(d, &d->plan.status, "policy");
        return;
    }
    d->candidate_count = candidate_list(&d->plan, d->worker->config, route,
                                        d->candidates, &loops);
    if (d->candidate_count > 0) {
        first_address(d);
        return;
    }
    end_loop(d, "");
}

/* All of it comes back under another destination: see outcome.c. */
static void
route_is_gone(struct deliver *d)
{
    struct mail_status status = {0};

    mail_status_set(&status, 451, "4.3.5",
                    "%s is no longer in the configuration",
                    d->order->destination);
    decide_all(d, &status, "route");
}

static void
use_facts(struct deliver *d, const struct policy_facts *facts)
{
    bool gone;
    const struct config_route *route =
        router_route(d->worker->config, d->order->destination, &gone);

    if (gone) {
        route_is_gone(d);
    } else {
        make_plan(d, facts);
        plan_made(d, route);
    }
}

static void
facts_known(void *ctx, const struct policy_facts *facts)
{
    struct deliver *d = ctx;

    use_facts(d, facts);
    settle(d);
}

/* A plan for the message that comes next, and for those like it behind it. */
static void
plan_job(struct deliver *d)
{
    const struct queue_message *m = job(d)->message;
    const struct policy_facts *facts =
        resolver_find(d->worker->resolver, d->order->destination);

    d->requiretls = m->envelope.requiretls;
    d->tls_required_no = m->tls_required_no;
    if (facts)
        use_facts(d, facts);
    else
        resolver_start(&d->wait, d->worker->resolver, d->order->destination,
                       facts_known, d);
}

/* False: it is neither a domain nor a route. */
static bool
is_known(const struct deliver *d)
{
    bool gone;

    (void)router_route(d->worker->config, d->order->destination, &gone);
    return !gone;
}

void
deliver_start(struct worker *w, struct queue_order *order)
{
    struct deliver *d = mem_new(struct deliver);

    assert(order->count > 0);
    d->worker = w;
    d->order = order;
    d->count = order->count;
    d->next = w->deliveries;
    d->at = &w->deliveries;
    if (d->next)
        d->next->at = &d->next;
    w->deliveries = d;
    if (w->is_stopping)
        end_order(d);
    else if (!is_known(d))
        route_is_gone(d);
    else
        plan_job(d);
    settle(d);
}

void
deliver_cut(struct deliver *d)
{
    struct mail_status status = {0};
    bool began = d->conn && d->report && d->got_ready;

    resolver_cancel(&d->wait);
    net_dial_cancel(&d->dial);
    mail_status_set(&status, 451, "4.3.2", "this relay was stopped%s",
                    d->smtp && smtp_client_is_in_doubt(d->smtp)
                        ? "; the message may have been delivered"
                        : "");
    if (began) {
        record(d, &status, smtp_client_step(d->smtp));
        report_decide_rest(d->report, &status);
        send_report(d, REPORT_REACHED);
    }
    hang_up(d, false);
    end_order(d);
    settle(d);
}
