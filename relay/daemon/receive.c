#include "relay/daemon/receive.h"

#include "policy/access.h"
#include "relay/base/mem.h"
#include "relay/daemon/gate.h"
#include "relay/daemon/intake.h"
#include "smtp/server.h"

#include <assert.h>
#include <stdlib.h>

struct receive {
    struct worker *worker;
    struct receive *next, **at; /* of worker->sessions */
    struct net_conn *conn;
    struct smtp_server *smtp;
    struct addr peer;
    enum config_tls tls;
    struct intake *intake; /* the message that is coming in */
    bool waits_for_intake; /* it has too much on its way to the store */
    bool over, killed;
    bool has_hung_up; /* it says no more, and may still be listening */
    unsigned turn;    /* the engine's, that the limit is for */
    bool in_body;
    int64_t body_began_ms;
    uint64_t body_mark, body_octets;
    char peer_text[ADDR_TEXT_SIZE];
};

static void pump(struct receive *r);

static void
unlink_session(struct receive *r)
{
    *r->at = r->next;
    if (r->next)
        r->next->at = r->at;
}

struct left_task {
    struct task task;
    struct relay *relay;
    struct addr peer;
};

static void
left(struct task *task)
{
    struct left_task *x = own_container(task, struct left_task, task);

    gate_leave(x->relay->gate, &x->peer);
    free(x);
}

void
receive_left(struct relay *relay, const struct addr *peer)
{
    struct left_task *x = mem_new(struct left_task);

    x->task.run = left;
    x->relay = relay;
    x->peer = *peer;
    task_post(&relay->inbox, &x->task);
}

/* While the relay stops, no client holds it up by not hanging up. */
static uint64_t
linger_ms(const struct receive *r)
{
    if (r->killed)
        return 0;
    return r->worker->is_stopping ? RECEIVE_FAREWELL_MS : RECEIVE_LINGER_MS;
}

/* The only place where a session dies; called last by every callback. */
static bool
bury(struct receive *r)
{
    if (!r->over)
        return false;
    intake_abandon(&r->intake);
    smtp_server_free(&r->smtp);
    net_conn_close(&r->conn, linger_ms(r));
    unlink_session(r);
    receive_left(r->worker->relay, &r->peer);
    free(r);
    return true;
}

static void
log_reject(struct receive *r, const struct mail_status *status,
           const struct mail_address *address)
{
    struct log_line line;

    log_begin(&line, r->worker->relay->log, LOG_LEVEL_INFO, "session.reject");
    log_text(&line, "client_ip", r->peer_text);
    if (address)
        log_address(&line, "address", address->text);
    log_int(&line, "code", status->code);
    log_text(&line, "reason", status->text);
    log_end(&line);
    atomic_fetch_add_explicit(&r->worker->relay->counters.refused, 1,
                              memory_order_relaxed);
}

static void
answer(struct receive *r, bool allowed, struct mail_status *status,
       const char *enhanced, const struct mail_address *address)
{
    if (allowed)
        mail_status_set(status, 250, enhanced, "ok");
    else
        log_reject(r, status, address);
    smtp_server_answer(r->smtp, status);
}

/* --- what the engine asks --- */

static struct policy_access_rules
rules(const struct receive *r)
{
    const struct config *c = r->worker->config;

    return (struct policy_access_rules){
        .networks = c->access.networks.net,
        .network_count = c->access.networks.count,
        .sender_domains = c->access.sender_domains.text,
        .sender_domain_count = c->access.sender_domains.count,
        .recipient_domains = c->access.recipient_domains.text,
        .recipient_domain_count = c->access.recipient_domains.count,
    };
}

static bool
is_able(const struct receive *r, struct mail_status *why)
{
    const struct relay *relay = r->worker->relay;
    bool is_healthy = atomic_load(&relay->store_is_healthy);

    if (is_healthy && store_thread_has_room(relay->store))
        return true;
    mail_status_set(why, 452, "4.3.1",
                    is_healthy ? "the disk is nearly full"
                               : "the queue can't be written to now");
    return false;
}

static void
on_mail(struct receive *r, const struct smtp_server_event *ev)
{
    struct policy_access_rules may = rules(r);
    struct mail_status status = {0};
    bool ok = is_able(r, &status) &&
              policy_access_client(&may, &r->peer, &status) &&
              policy_access_sender(&may, ev->address, &status);

    answer(r, ok, &status, "2.1.0", ev->address);
}

static void
on_rcpt(struct receive *r, const struct smtp_server_event *ev)
{
    struct policy_access_rules may = rules(r);
    struct mail_status status = {0};
    bool ok = policy_access_recipient(&may, ev->address, &status);

    answer(r, ok, &status, "2.1.5", ev->address);
}

static void
on_data(struct receive *r)
{
    struct mail_status status = {0};
    struct intake_client client = {
        .ip = r->peer.any.sa_family == AF_UNSPEC ? NULL : r->peer_text,
        .helo = smtp_server_helo(r->smtp),
        .is_esmtp = smtp_server_is_esmtp(r->smtp),
        .tls = net_conn_tls(r->conn),
    };

    if (is_able(r, &status)) {
        mail_status_set(&status, 250, "2.0.0", "go on");
        intake_abandon(&r->intake);
        r->intake =
            intake_new(r->worker, &client, smtp_server_envelope(r->smtp));
    } else {
        log_reject(r, &status, NULL);
    }
    smtp_server_answer(r->smtp, &status);
}

/* A client that has hung up gets the replies to what it said before. */
static void
end_if_done(struct receive *r, bool has_more)
{
    bool owes_reply =
        r->waits_for_intake || (!r->over && smtp_server_wait_ms(r->smtp) == 0);

    if (r->has_hung_up && !owes_reply && !has_more)
        r->over = true;
}

static void
intake_has_room(void *ctx)
{
    struct receive *r = ctx;

    r->waits_for_intake = false;
    net_conn_more(r->conn);
}

static void
intake_is_done(void *ctx, const struct mail_status *status)
{
    struct receive *r = ctx;

    r->intake = NULL;
    r->waits_for_intake = false;
    smtp_server_answer(r->smtp, status);
    pump(r);
    end_if_done(r, net_conn_has_kept(r->conn));
    if (!bury(r))
        net_conn_more(r->conn);
}

static void
on_end(struct receive *r)
{
    struct mail_envelope envelope = {0};

    smtp_server_take_envelope(r->smtp, &envelope);
    intake_end(r->intake, &envelope, intake_is_done, r);
}

/* Without a certificate it is a session from before a reload that took the
 * certificate away. */
static void
start_tls(struct receive *r)
{
    struct net_tls_setup setup = {
        .tls = r->worker->tls_server,
        .is_server = true,
    };

    if (!setup.tls) {
        r->over = true;
        return;
    }
    net_conn_send(r->conn, smtp_server_output(r->smtp));
    net_conn_start_tls(r->conn, &setup);
    net_conn_limit(r->conn, RECEIVE_HANDSHAKE_MS);
}

static void
act_on(struct receive *r, const struct smtp_server_event *ev)
{
    switch (ev->kind) {
    case SMTP_SERVER_START_TLS:
        start_tls(r);
        break;
    case SMTP_SERVER_MAIL:
        on_mail(r, ev);
        break;
    case SMTP_SERVER_RCPT:
        on_rcpt(r, ev);
        break;
    case SMTP_SERVER_DATA:
        on_data(r);
        break;
    case SMTP_SERVER_BODY:
        intake_body(r->intake, ev->body);
        break;
    case SMTP_SERVER_END:
        on_end(r);
        break;
    case SMTP_SERVER_DROP:
        intake_abandon(&r->intake);
        break;
    case SMTP_SERVER_OVER:
        r->over = true;
        break;
    }
}

/* --- time --- */

static void
mind_body(struct receive *r)
{
    if (!r->in_body) {
        r->in_body = true;
        r->body_began_ms = net_clock_steady();
        r->body_mark = r->body_octets;
        net_conn_limit(r->conn, RECEIVE_RATE_MS);
    }
}

/* The limit is for a whole command, so it is set anew only when the engine
 * says that another turn began. */
static void
mind_time(struct receive *r)
{
    unsigned turn = smtp_server_wait_turn(r->smtp);

    if (smtp_server_is_in_body(r->smtp)) {
        mind_body(r);
        return;
    }
    if (!r->in_body && turn == r->turn)
        return;
    r->in_body = false;
    r->turn = turn;
    net_conn_limit(r->conn, smtp_server_wait_ms(r->smtp));
}

static void
pump(struct receive *r)
{
    struct smtp_server_event ev;

    while (!r->over && smtp_server_next(r->smtp, &ev))
        act_on(r, &ev);
    net_conn_send(r->conn, smtp_server_output(r->smtp));
    if (!r->over)
        mind_time(r);
}

/* --- what the connection tells --- */

static size_t
on_input(void *ctx, struct slice in)
{
    struct receive *r = ctx;
    size_t used = 0;

    while (used < in.len && !r->over) {
        size_t n;

        if (r->intake && !intake_has_space(r->intake)) {
            r->waits_for_intake = true;
            intake_wait(r->intake, intake_has_room, r);
            break;
        }
        n = smtp_server_feed(r->smtp, slice_from(in, used));
        /* Also those of a body that is refused, and read to its end. */
        if (r->in_body)
            r->body_octets += n;
        pump(r);
        if (n == 0)
            break;
        used += n;
    }
    end_if_done(r, false);
    return bury(r) ? 0 : used;
}

static void
on_secured(void *ctx, const struct err *err)
{
    struct receive *r = ctx;

    if (err) {
        r->over = true;
    } else {
        if (r->tls == CONFIG_TLS_IMPLICIT)
            smtp_server_greet(r->smtp, NULL);
        else
            smtp_server_tls_up(r->smtp);
        pump(r);
    }
    (void)bury(r);
}

static void
on_drained(void *ctx)
{
    struct receive *r = ctx;

    net_conn_more(r->conn);
}

static bool
is_body_slow(struct receive *r)
{
    uint64_t got = r->body_octets - r->body_mark;
    bool waits_for_us = r->waits_for_intake;

    r->body_mark = r->body_octets;
    return (!waits_for_us && got < RECEIVE_RATE_MIN) ||
           net_clock_steady() - r->body_began_ms > RECEIVE_BODY_MS;
}

static void
on_late(void *ctx)
{
    struct receive *r = ctx;

    if (r->in_body && !is_body_slow(r)) {
        net_conn_limit(r->conn, RECEIVE_RATE_MS);
        return;
    }
    smtp_server_timeout(r->smtp);
    pump(r);
    r->over = true;
    (void)bury(r);
}

static void
on_ended(void *ctx, const struct err *err)
{
    struct receive *r = ctx;

    r->has_hung_up = true;
    if (err)
        r->over = true;
    end_if_done(r, net_conn_has_kept(r->conn));
    (void)bury(r);
}

static const struct net_conn_events events = {
    .input = on_input,
    .secured = on_secured,
    .drained = on_drained,
    .late = on_late,
    .ended = on_ended,
};

/* --- birth and end --- */

static bool
may_connect(const struct config_listener *l, const struct addr *peer)
{
    if (l->networks.count == 0 || peer->any.sa_family == AF_UNSPEC)
        return true;
    for (size_t i = 0; i < l->networks.count; i++)
        if (addr_is_in(peer, &l->networks.net[i]))
            return true;
    return false;
}

static void
greet(struct receive *r, const struct config_listener *l)
{
    struct mail_status refusal = {0};

    if (!may_connect(l, &r->peer)) {
        mail_status_set(&refusal, 554, "5.7.1", "not from this network");
        log_reject(r, &refusal, NULL);
        smtp_server_greet(r->smtp, &refusal);
    } else if (r->tls == CONFIG_TLS_IMPLICIT) {
        start_tls(r);
        return;
    } else {
        smtp_server_greet(r->smtp, NULL);
    }
    pump(r);
}

void
receive_start(struct worker *w, int fd, const struct addr *peer,
              size_t listener)
{
    const struct config *c = w->config;
    const struct config_listener *l = &c->listener[listener];
    struct receive *r = mem_new(struct receive);
    struct smtp_server_config config = {
        .hostname = c->hostname,
        .size_max = c->access.size_max,
        .rcpt_max = c->access.rcpt_max,
        .offer_starttls = w->tls_server && (l->tls == CONFIG_TLS_STARTTLS ||
                                            l->tls == CONFIG_TLS_REQUIRED),
        .require_tls = l->tls == CONFIG_TLS_REQUIRED,
        .offer_requiretls = w->tls_server != NULL,
        .is_tls = l->tls == CONFIG_TLS_IMPLICIT,
    };

    r->worker = w;
    r->peer = *peer;
    r->tls = l->tls;
    r->turn = UINT32_MAX;
    (void)addr_text(peer, r->peer_text);
    r->next = w->sessions;
    r->at = &w->sessions;
    if (r->next)
        r->next->at = &r->next;
    w->sessions = r;
    r->smtp = smtp_server_new(&config);
    r->conn = net_conn_new(&w->loop, fd, &events, r);
    net_conn_open(r->conn);
    greet(r, l);
    (void)bury(r);
}

void
receive_shut(struct receive *r)
{
    struct mail_status status = {0};

    mail_status_set(&status, 421, "4.3.2", "shutting down, try again soon");
    smtp_server_shut(r->smtp, &status, "drain");
    pump(r);
    (void)bury(r);
}

void
receive_kill(struct receive *r)
{
    r->over = r->killed = true;
    (void)bury(r);
}

struct receive *
receive_next(const struct receive *r)
{
    return r->next;
}
