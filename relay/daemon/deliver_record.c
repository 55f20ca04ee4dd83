#include "relay/daemon/deliver_inside.h"

#include "relay/base/mem.h"
#include "relay/daemon/dispatch.h"

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

static void
enter(struct deliver *d, enum stage stage)
{
    int64_t now = net_clock_steady();

    d->spent_ms[d->stage] += now - d->stage_ms;
    d->stage = stage;
    d->stage_ms = now;
}

void
deliver_begin_turn(struct deliver *d)
{
    memset(d->spent_ms, 0, sizeof(d->spent_ms));
    d->stage = STAGE_NONE;
    d->stage_ms = d->turn_ms = net_clock_steady();
}

/* Greeting, EHLO and AUTH are what comes behind the handshake. */
static enum stage
stage_of(enum metrics_phase phase)
{
    switch (phase) {
    case METRICS_NO_PHASE:
        return STAGE_NONE;
    case METRICS_DNS:
        return STAGE_DNS;
    case METRICS_CONNECT:
    case METRICS_HANDSHAKE:
        return STAGE_CONNECT;
    case METRICS_MAIL:
    case METRICS_DATA:
        return STAGE_DATA;
    }
    return STAGE_NONE;
}

static struct report_delays
delays(struct deliver *d, const struct queue_message *m)
{
    enter(d, STAGE_NONE);
    return (struct report_delays){
        .is_known = true,
        .queue = d->turn_ms > m->arrived_ms ? d->turn_ms - m->arrived_ms : 0,
        .dns = d->spent_ms[STAGE_DNS],
        .connect = d->spent_ms[STAGE_CONNECT],
        .data = d->spent_ms[STAGE_DATA],
    };
}

void
deliver_begin_phase(struct deliver *d, enum metrics_phase phase)
{
    enter(d, stage_of(phase));
    d->phase = phase;
    d->phase_us = net_clock_us();
}

void
deliver_end_phase(struct deliver *d, enum metrics_phase phase)
{
    if (d->phase == phase)
        metrics_phase(d->worker->relay->metrics, phase,
                      net_clock_us() - d->phase_us);
    d->phase = METRICS_NO_PHASE;
}

void
deliver_count_session(const struct deliver *d)
{
    const struct net_tls_facts *tls = net_conn_tls(d->conn);

    metrics_tls(d->worker->relay->metrics, false, tls ? tls->version : NULL,
                tls ? net_tls_verdict_name(tls->verdict) : NULL);
}

/* Of the session under way, for reports about TLS. */
struct tls_result_session
deliver_session(const struct deliver *d)
{
    return (struct tls_result_session){
        .message = deliver_job(d)->message,
        .candidate = deliver_here(d),
        .conn = d->conn,
        .helo = smtp_client_capability(d->smtp)->name,
    };
}

static char *
policy_text(const struct deliver *d)
{
    return mem_printf("%s%s", candidate_policy(deliver_here(d)),
                      d->lost_requiretls ? " without-requiretls" : "");
}

static char *
status_text(const struct mail_status *s)
{
    char enhanced[16];

    return mem_printf("%d %s %s", s->code, mail_status_enhanced(s, enhanced),
                      s->text);
}

/* One line of the message's history: what was tried here, and the outcome. */
void
deliver_record(struct deliver *d, const struct mail_status *status,
               const char *step)
{
    struct queue_attempt *a = report_add(d->report);
    char address[ADDR_TEXT_SIZE];

    a->at_ms = net_clock_wall();
    a->took_ms = net_clock_steady() - d->began_ms;
    a->reply = status_text(status);
    d->report->is_throttled |= mail_status_is_throttling(status);
    a->step = mem_text(step);
    if (d->candidate < d->candidate_count) {
        a->host = mem_text(deliver_here(d)->host->name);
        a->address =
            mem_text(addr_text_port(&deliver_here(d)->address, address));
        a->policy = policy_text(d);
        a->proof = mem_text(policy_proof_name(deliver_here(d)->proof));
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
    char address[ADDR_TEXT_SIZE], enhanced[16];

    log_begin(&line, d->worker->relay->log, LOG_LEVEL_INFO, "delivery.attempt");
    log_id(&line, "mid", deliver_job(d)->message->id);
    log_text(&line, "destination", d->order->destination);
    if (d->candidate < d->candidate_count) {
        log_text(&line, "mx", deliver_here(d)->host->name);
        log_text(&line, "mx_ip",
                 addr_text_port(&deliver_here(d)->address, address));
        log_text(&line, "policy", candidate_policy(deliver_here(d)));
        log_text(&line, "proof", policy_proof_name(deliver_here(d)->proof));
    }
    log_text(&line, "step", step);
    log_int(&line, "code", status->code);
    log_text(&line, "dsn", mail_status_enhanced(status, enhanced));
    log_text(&line, "reason", status->text);
    log_end(&line);
}

/* This address did not do; the reason is kept in case that none does. */
void
deliver_fail_here(struct deliver *d, const struct mail_status *status,
                  const char *step)
{
    d->failures++;
    d->last = *status;
    d->step = step;
    deliver_record(d, status, step);
    log_attempt(d, status, step);
}

void
deliver_begin_report(struct deliver *d)
{
    if (d->report)
        return;
    d->report = report_new(d->order, deliver_job(d));
    d->job_began_ms = net_clock_steady();
    d->got_ready = d->is_refused = d->lost_requiretls = false;
    d->failures = d->unproven = d->limits = 0;
}

void
deliver_send_report(struct deliver *d, enum report_contact contact)
{
    d->report->contact = contact;
    if (d->conn && d->smtp)
        d->report->peer_has_dsn = smtp_client_capability(d->smtp)->dsn;
    if (d->candidate < d->candidate_count && !d->report->remote)
        d->report->remote = mem_text(deliver_here(d)->host->name);
    d->report->delays = delays(d, deliver_job(d)->message);
    deliver_begin_turn(d);
    d->report->is_last = ++d->done == d->count;
    dispatch_report(d->worker->relay, take(&d->report));
}
