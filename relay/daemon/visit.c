#include "relay/daemon/visit.h"

#include "policy/channel.h"
#include "relay/base/mem.h"
#include "relay/daemon/router.h"
#include "relay/mail/status.h"
#include "relay/net/dial.h"
#include "smtp/client.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

enum { GOODBYE_MS = 2000 };

struct visit {
    struct visit **slot;
    struct worker *worker;
    struct candidate at;
    const char *destination;
    int64_t began_ms;
    uint64_t limit_ms;
    visit_fn *done;
    void *ctx;
    struct net_dial *dial;
    struct net_conn *conn;
    struct smtp_client *smtp;
    bool handshaking;
    bool is_ready; /* for mail, or QUIT */
    bool over;     /* the report is complete */
    struct visit_report report;
};

static void end(struct visit *v, enum visit_state state, const char *step,
                const char *fmt, ...) __attribute__((format(printf, 4, 5)));

static void
end(struct visit *v, enum visit_state state, const char *step, const char *fmt,
    ...)
{
    va_list args;

    if (v->over)
        return;
    va_start(args, fmt);
    (void)vsnprintf(v->report.why, sizeof(v->report.why), fmt, args);
    va_end(args);
    v->report.state = state;
    v->report.step = step;
    v->over = true;
}

static void
hang_up(struct visit *v)
{
    if (v->conn && v->is_ready) {
        smtp_client_quit(v->smtp);
        net_conn_send(v->conn, smtp_client_output(v->smtp));
    }
    net_conn_close(&v->conn, v->is_ready ? GOODBYE_MS : 0);
}

static void
release(struct visit *v)
{
    net_dial_cancel(&v->dial);
    hang_up(v);
    smtp_client_free(&v->smtp);
}

static void
note(struct visit *v)
{
    const struct net_tls_facts *tls = v->conn ? net_conn_tls(v->conn) : NULL;

    if (tls) {
        v->report.has_tls = true;
        v->report.tls = *tls;
    }
    if (v->smtp) {
        v->report.capability = *smtp_client_capability(v->smtp);
        v->report.has_greeted = v->report.capability.name[0] != '\0';
    }
    v->report.took_ms = net_clock_steady() - v->began_ms;
}

/* The only place where a visit ends by itself; called last by every callback.
 */
static void
settle(struct visit *v)
{
    if (!v->over)
        return;
    note(v);
    release(v);
    *v->slot = NULL;
    v->done(v->ctx, &v->report);
    free(v->report.policy);
    free(v);
}

/* --- the session --- */

static void
tls_failed(struct visit *v, const char *why)
{
    const struct net_tls_facts *tls = net_conn_tls(v->conn);

    if (tls && tls->why[0])
        why = tls->why;
    if (v->at.proof == POLICY_PROOF_NONE) {
        v->report.in_clear = true;
        end(v, VISIT_GOOD, "TLS", "TLS fails (%s): mail would go in clear",
            why);
        return;
    }
    if (tls && tls->verdict == NET_TLS_WRONG_NAME)
        end(v, VISIT_REFUSED, "TLS",
            "%s demands %s; the server has one for %.80s", v->report.policy,
            candidate_demand(&v->at), tls->subject);
    end(v, VISIT_REFUSED, "TLS", "%s demands %s: %s", v->report.policy,
        candidate_demand(&v->at), why);
}

static void
start_tls(struct visit *v)
{
    struct candidate_pins pins;
    bool gone;
    const struct config_route *route =
        router_route(v->worker->config, v->destination, &gone);
    struct net_tls_setup setup = candidate_tls(
        &v->at, worker_tls(v->worker, v->at.host->anchors, route), NULL, &pins);

    /* Without a key: a resumed session would show no certificate. */
    setup.chain = &v->report.chain;
    net_conn_send(v->conn, smtp_client_output(v->smtp));
    net_conn_start_tls(v->conn, &setup);
    v->handshaking = true;
}

/* Is it a policy's being on trial alone that lets mail go here? */
static bool
is_only_reported(const struct visit *v, const struct net_tls_facts *tls)
{
    const struct policy_host *h = v->at.host;
    struct policy_channel channel = {
        .has_tls = tls != NULL,
        .is_verified = tls && tls->verdict == NET_TLS_VERIFIED,
        .is_stranger = tls && tls->is_stranger,
        .offers_requiretls = true, /* there is no message to ask for it */
    };

    return h->shadow_proof != POLICY_PROOF_CLEAR &&
           policy_channel_weigh(h, h->shadow_proof, &channel) !=
               POLICY_CHANNEL_GOOD;
}

/* As deliver does: it would hand over a message now. */
static void
on_ready(struct visit *v)
{
    const struct smtp_capability *c = smtp_client_capability(v->smtp);
    const struct net_tls_facts *tls = net_conn_tls(v->conn);

    v->is_ready = true;
    v->report.in_clear = !tls;
    if (strcasecmp(c->name, v->worker->config->hostname) == 0)
        end(v, VISIT_REFUSED, "EHLO",
            "it calls itself %.100s: that is this relay, mail would loop",
            c->name);
    else if (v->at.host->observe && tls && tls->verdict != NET_TLS_VERIFIED)
        end(v, VISIT_GOOD, "QUIT",
            "the policy is in testing; enforced, it would refuse this host: %s",
            tls->why);
    else if (v->at.host->observe && !tls)
        end(v, VISIT_GOOD, "QUIT",
            "the policy is in testing; enforced, it would refuse this host, "
            "which offers no STARTTLS");
    else if (is_only_reported(v, tls))
        end(v, VISIT_GOOD, "QUIT",
            "policies are only reported here; enforced, %s would refuse this "
            "host: %s",
            policy_source_name(v->at.host->shadow_source),
            tls ? tls->why : "no STARTTLS");
    else if (!tls)
        end(v, VISIT_GOOD, "QUIT", "mail would go in clear: no STARTTLS");
    else
        end(v, VISIT_GOOD, "QUIT", "%s", "");
}

static void
on_over(struct visit *v, const struct smtp_client_event *ev)
{
    const char *step = ev->command ? ev->command : smtp_client_step(v->smtp);
    const char *why = ev->err ? ev->err->text : "it ended the session";
    struct mail_status status = {0};

    switch (ev->end) {
    case SMTP_CLIENT_END_REFUSED:
        mail_status_from_reply(&status, ev->reply->code,
                               (struct slice){ev->reply->text, ev->reply->len});
        end(v,
            mail_status_is_permanent(&status) ? VISIT_REFUSED : VISIT_UNKNOWN,
            step, "it answered %d %.200s", status.code, status.text);
        break;
    case SMTP_CLIENT_END_NO_STARTTLS:
        end(v, VISIT_REFUSED, "STARTTLS",
            "%s demands TLS, and it can't be had: %s", v->report.policy, why);
        break;
    case SMTP_CLIENT_END_NO_AUTH: /* it is not asked for */
    case SMTP_CLIENT_END_AUTH:
    case SMTP_CLIENT_END_PROTOCOL:
    case SMTP_CLIENT_END_QUIT:
        end(v, VISIT_UNKNOWN, step, "%s", why);
        break;
    }
}

static void
act_on(struct visit *v, const struct smtp_client_event *ev)
{
    switch (ev->kind) {
    case SMTP_CLIENT_START_TLS:
        start_tls(v);
        break;
    case SMTP_CLIENT_READY:
        on_ready(v);
        break;
    case SMTP_CLIENT_OVER:
        on_over(v, ev);
        break;
    case SMTP_CLIENT_DERIVE: /* none of these without mail */
    case SMTP_CLIENT_RCPT:
    case SMTP_CLIENT_BODY:
    case SMTP_CLIENT_VERDICT:
        break;
    }
}

static void
pump(struct visit *v)
{
    struct smtp_client_event ev;

    while (!v->over && smtp_client_next(v->smtp, &ev))
        act_on(v, &ev);
    if (!v->handshaking && !v->over)
        net_conn_send(v->conn, smtp_client_output(v->smtp));
}

/* --- what the connection tells --- */

static size_t
on_input(void *ctx, struct slice in)
{
    struct visit *v = ctx;
    size_t used = 0;

    while (used < in.len && !v->over) {
        used += smtp_client_feed(v->smtp, slice_from(in, used));
        pump(v);
    }
    settle(v);
    return in.len;
}

static void
on_secured(void *ctx, const struct err *err)
{
    struct visit *v = ctx;

    v->handshaking = false;
    if (err) {
        tls_failed(v, err->text);
    } else if (!v->at.implicit_tls) {
        smtp_client_tls_up(v->smtp);
        pump(v);
    }
    settle(v);
}

static void
on_drained(void *ctx)
{
    (void)ctx;
}

static void
on_late(void *ctx)
{
    struct visit *v = ctx;

    if (v->handshaking)
        tls_failed(v, "the handshake took too long");
    end(v, VISIT_UNKNOWN, smtp_client_step(v->smtp), "no answer in time to %s",
        smtp_client_step(v->smtp));
    settle(v);
}

static void
on_ended(void *ctx, const struct err *err)
{
    struct visit *v = ctx;

    /* See deliver_session.c: a refusal in TLS 1.3 comes late. */
    if (err && err->kind == ERR_TLS && net_conn_tls(v->conn) && !v->is_ready)
        tls_failed(v, err->text);
    end(v, VISIT_UNKNOWN, smtp_client_step(v->smtp),
        "the connection was %s during %s", err ? "lost" : "closed",
        smtp_client_step(v->smtp));
    settle(v);
}

static const struct net_conn_events events = {
    .input = on_input,
    .secured = on_secured,
    .drained = on_drained,
    .late = on_late,
    .ended = on_ended,
};

static enum smtp_client_tls
tls_level(const struct visit *v)
{
    if (v->at.implicit_tls || v->at.proof == POLICY_PROOF_CLEAR)
        return SMTP_CLIENT_TLS_NEVER;
    return v->at.proof == POLICY_PROOF_NONE ? SMTP_CLIENT_TLS_OFFERED
                                            : SMTP_CLIENT_TLS_REQUIRED;
}

static uint64_t
left_ms(const struct visit *v)
{
    uint64_t gone = (uint64_t)(net_clock_steady() - v->began_ms);

    return gone < v->limit_ms ? v->limit_ms - gone : 1;
}

static void
dialled(void *ctx, int fd, const struct err *err)
{
    struct visit *v = ctx;

    if (err) {
        end(v, VISIT_UNKNOWN, "connect", "%s", err->text);
        settle(v);
        return;
    }
    v->conn = net_conn_new(&v->worker->loop, fd, &events, v);
    v->smtp = smtp_client_new(v->worker->config->hostname, tls_level(v));
    net_conn_open(v->conn);
    net_conn_limit(v->conn, left_ms(v));
    if (v->at.implicit_tls)
        start_tls(v);
}

void
visit_start(struct visit **slot, struct worker *w, const struct candidate *at,
            const char *destination, uint64_t limit_ms, visit_fn *done,
            void *ctx)
{
    struct visit *v = mem_new(struct visit);
    bool has_source = at->source.any.sa_family != AF_UNSPEC;

    v->slot = slot;
    v->worker = w;
    v->at = *at;
    v->destination = destination;
    v->limit_ms = limit_ms;
    v->done = done;
    v->ctx = ctx;
    v->began_ms = net_clock_steady();
    v->report.address = at->address;
    v->report.proof = at->proof;
    v->report.policy = mem_text(candidate_policy(at));
    *slot = v;
    net_dial_start(&v->dial, &w->loop, &at->address,
                   has_source ? &at->source : NULL, limit_ms / 2, dialled, v);
}

void
visit_cancel(struct visit **slot)
{
    struct visit *v = take(slot);

    if (!v)
        return;
    release(v);
    free(v->report.policy);
    free(v);
}
