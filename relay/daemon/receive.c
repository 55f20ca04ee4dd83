#include "relay/daemon/receive_inside.h"

#include "relay/daemon/intake.h"
#include "relay/daemon/login.h"
#include "relay/daemon/server_tls.h"

#include <assert.h>
#include <stdlib.h>

static void
unlink_session(struct receive *r)
{
    *r->at = r->next;
    if (r->next)
        r->next->at = r->at;
}

/* While the relay stops, no client holds it up by not hanging up. */
static uint64_t
linger_ms(const struct receive *r)
{
    if (r->killed)
        return 0;
    return r->worker->is_stopping ? RECEIVE_FAREWELL_MS : RECEIVE_LINGER_MS;
}

bool
receive_bury(struct receive *r)
{
    if (!r->over)
        return false;
    login_cancel(&r->login);
    if (!r->is_whole)
        receive_uncount(r);
    intake_abandon(&r->intake);
    smtp_server_free(&r->smtp);
    net_conn_close(&r->conn, linger_ms(r));
    unlink_session(r);
    gate_leave(r->worker->relay->gate, &r->pass);
    free(r);
    return true;
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

void
receive_resume(struct receive *r)
{
    receive_pump(r);
    end_if_done(r, net_conn_has_kept(r->conn));
    if (!receive_bury(r))
        net_conn_more(r->conn);
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
    if (!mail_status_is_success(status)) {
        receive_log_reject(r, status, &r->from);
        receive_uncount(r);
    }
    r->counted = 0;
    r->is_whole = false;
    smtp_server_answer(r->smtp, status);
    receive_resume(r);
}

static void
on_end(struct receive *r)
{
    struct mail_envelope envelope = {0};

    r->is_whole = true;
    smtp_server_take_envelope(r->smtp, &envelope);
    intake_end(r->intake, &envelope, intake_is_done, r);
}

/* Without a certificate it is a session from before a reload that took the
 * certificate away. */
void
receive_start_tls(struct receive *r)
{
    struct net_tls_setup setup = {
        .tls = server_tls_find(r->worker->server_tls, r->pass.listener),
        .is_server = true,
    };

    if (!setup.tls) {
        r->over = true;
        return;
    }
    r->is_shaking = true;
    net_conn_send(r->conn, smtp_server_output(r->smtp));
    net_conn_start_tls(r->conn, &setup);
    net_conn_limit(r->conn, RECEIVE_HANDSHAKE_MS);
}

static void
act_on(struct receive *r, const struct smtp_server_event *ev)
{
    switch (ev->kind) {
    case SMTP_SERVER_START_TLS:
        receive_start_tls(r);
        break;
    case SMTP_SERVER_MAIL:
        receive_on_mail(r, ev);
        break;
    case SMTP_SERVER_RCPT:
        receive_on_rcpt(r, ev);
        break;
    case SMTP_SERVER_DATA:
        receive_on_data(r);
        break;
    case SMTP_SERVER_BODY:
        intake_body(r->intake, ev->body);
        break;
    case SMTP_SERVER_END:
        on_end(r);
        break;
    case SMTP_SERVER_DROP:
        receive_uncount(r);
        intake_abandon(&r->intake);
        break;
    case SMTP_SERVER_OVER:
        r->over = true;
        break;
    case SMTP_SERVER_VERIFIER:
        receive_on_verifier(r, ev);
        break;
    case SMTP_SERVER_AUTH:
        receive_on_auth(r, ev);
        break;
    }
}

void
receive_pump(struct receive *r)
{
    struct smtp_server_event ev;

    while (!r->over && smtp_server_next(r->smtp, &ev))
        act_on(r, &ev);
    net_conn_send(r->conn, smtp_server_output(r->smtp));
    if (!r->over)
        receive_mind_time(r);
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
        receive_pump(r);
        if (n == 0)
            break;
        used += n;
    }
    end_if_done(r, false);
    return receive_bury(r) ? 0 : used;
}

static void
on_secured(void *ctx, const struct err *err)
{
    struct receive *r = ctx;

    r->is_shaking = false;
    receive_log_tls(r, err);
    if (err) {
        r->over = true;
    } else {
        if (r->tls == CONFIG_TLS_IMPLICIT)
            smtp_server_greet(r->smtp, NULL);
        else
            smtp_server_tls_up(r->smtp);
        receive_bind(r);
        receive_pump(r);
    }
    (void)receive_bury(r);
}

static void
on_drained(void *ctx)
{
    struct receive *r = ctx;

    net_conn_more(r->conn);
}

static void
on_late(void *ctx)
{
    struct receive *r = ctx;

    if (receive_may_go_on(r))
        return;
    smtp_server_timeout(r->smtp);
    receive_pump(r);
    r->over = true;
    (void)receive_bury(r);
}

static void
on_ended(void *ctx, const struct err *err)
{
    struct receive *r = ctx;

    r->has_hung_up = true;
    if (err)
        r->over = true;
    end_if_done(r, net_conn_has_kept(r->conn));
    (void)receive_bury(r);
}

const struct net_conn_events receive_events = {
    .input = on_input,
    .secured = on_secured,
    .drained = on_drained,
    .late = on_late,
    .ended = on_ended,
};

/* --- end --- */

void
receive_kill(struct receive *r)
{
    r->over = r->killed = true;
    (void)receive_bury(r);
}

void
receive_shut(struct receive *r)
{
    struct mail_status status = {0};

    if (r->is_shaking) { /* it would not understand a word */
        receive_kill(r);
        return;
    }
    mail_status_set(&status, 421, "4.3.2", "shutting down, try again soon");
    smtp_server_shut(r->smtp, &status, "drain");
    receive_pump(r);
    (void)receive_bury(r);
}

struct receive *
receive_next(const struct receive *r)
{
    return r->next;
}
