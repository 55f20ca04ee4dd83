#include "relay/daemon/outcome.h"

#include "queue/bounce.h"
#include "relay/base/mem.h"
#include "relay/daemon/dkim_signer.h"
#include "relay/daemon/router.h"
#include "relay/net/timer.h"

#include <assert.h>
#include <stdlib.h>

struct outcome {
    struct store_call call;
    struct relay *relay;
    struct report *report;
    outcome_fn *done;
    void *ctx;
    struct outcome *link;

    struct queue_result *results; /* as many as the report's recipients */
    char **reasons;               /* theirs */
    char **destinations;          /* where the routes have changed */
    bool *wants_notice;
    enum queue_action *action; /* of the notice */
    struct queue_message *notices[3];
    size_t notice_count;
    size_t signed_count; /* of them; the next is under way with a signer */
    struct dkim_signer *signer;
    uint32_t jitter;     /* one for all, so that they stay together */
    struct buf original; /* read from the store for a notice */
    bool has_original;
};

static struct queue_message *
message(const struct outcome *o)
{
    return o->report->job->message;
}

/* --- what becomes of one recipient --- */

/* Its turn has not come, and the time does not count. */
static bool
is_held(const struct report *report, size_t i)
{
    return report->contact == REPORT_HELD || report->rcpt[i].is_held;
}

static char *
reason(const struct mail_status *s)
{
    char enhanced[16];

    return mem_printf("%d %s %s", s->code, mail_status_enhanced(s, enhanced),
                      s->text);
}

static void
want_notice(struct outcome *o, size_t i, enum queue_action action)
{
    const struct queue_message *m = message(o);
    const struct mail_rcpt *rcpt = &m->envelope.rcpt[o->report->rcpt[i].rcpt];

    if (!queue_bounce_is_wanted(action, m, rcpt))
        return;
    o->wants_notice[i] = true;
    o->action[i] = action;
}

static bool
is_expired(const struct relay *relay, const struct report *report,
           const struct queue_rcpt *rcpt)
{
    /* What others have tried in vain counts for those who waited. */
    uint32_t attempts = report->is_aged ? rcpt->attempts + report->failures
                                        : rcpt->attempts + 1;

    return queue_schedule_is_expired(&relay->config->retry, attempts,
                                     report->job->message->arrived_ms,
                                     net_clock_steady());
}

static bool
is_due_for_warning(const struct relay *relay, const struct queue_message *m,
                   const struct queue_rcpt *rcpt)
{
    return !rcpt->warned &&
           queue_schedule_is_late(&relay->config->retry, m->arrived_ms,
                                  net_clock_steady());
}

static void
defer(struct outcome *o, size_t i, const struct queue_rcpt *rcpt)
{
    struct queue_result *result = &o->results[i];
    const struct queue_schedule *schedule = &o->relay->config->retry;
    bool aged = o->report->is_aged;
    uint32_t attempts = rcpt->attempts + (aged ? 0 : 1);

    result->outcome = QUEUE_DEFERRED;
    result->warned = rcpt->warned;
    if (aged)
        result->next_ms = rcpt->next_ms;
    else if (is_held(o->report, i))
        result->next_ms = net_clock_steady(); /* the route waits, not it */
    else
        result->next_ms = queue_schedule_next(schedule, attempts,
                                              net_clock_steady(), o->jitter);
    if (is_due_for_warning(o->relay, message(o), rcpt)) {
        result->warned = true;
        want_notice(o, i, QUEUE_ACTION_DELAYED);
    }
}

static void
decide(struct outcome *o, size_t i)
{
    const struct report_rcpt *told = &o->report->rcpt[i];
    const struct queue_message *m = message(o);
    const struct queue_rcpt *rcpt = &m->rcpt[told->rcpt];
    struct queue_result *result = &o->results[i];

    o->reasons[i] = reason(&told->status);
    *result = (struct queue_result){
        .number = rcpt->number,
        .address = m->envelope.rcpt[told->rcpt].address,
        .outcome = told->outcome,
        .reason = o->reasons[i],
        .attempt = told->attempt,
        .untried = o->report->is_aged || is_held(o->report, i),
    };
    if (told->outcome == QUEUE_DEFERRED && !is_held(o->report, i) &&
        is_expired(o->relay, o->report, rcpt))
        result->outcome = QUEUE_EXPIRED;
    switch (result->outcome) {
    case QUEUE_DELIVERED:
        if (!o->report->peer_has_dsn) /* RFC 3461 section 5.2.2 */
            want_notice(o, i, QUEUE_ACTION_RELAYED);
        break;
    case QUEUE_FAILED:
    case QUEUE_EXPIRED:
        want_notice(o, i, QUEUE_ACTION_FAILED);
        break;
    case QUEUE_DEFERRED:
        defer(o, i, rcpt);
        break;
    }
}

bool
outcome_is_void(const struct relay *relay, const struct report *report)
{
    const struct queue_message *m = report->job->message;

    for (size_t i = 0; i < report->rcpt_count; i++) {
        const struct queue_rcpt *rcpt = &m->rcpt[report->rcpt[i].rcpt];

        if ((!is_held(report, i) && is_expired(relay, report, rcpt)) ||
            is_due_for_warning(relay, m, rcpt))
            return false;
    }
    return true;
}

/* --- notices --- */

static char *
explain(const struct outcome *o, size_t i)
{
    const struct report_rcpt *told = &o->report->rcpt[i];
    const struct queue_attempt *a;

    if (told->attempt == SIZE_MAX || told->attempt >= o->report->attempt_count)
        return NULL;
    a = &o->report->attempts[told->attempt];
    if (!a->policy || strcmp(a->policy, "opportunistic") == 0)
        return NULL;
    return mem_printf(
        "The transport policy in force was: %s (required: %s).%s%s%s%s",
        a->policy, a->proof ? a->proof : "see above",
        a->host ? " Host tried: " : "", a->host ? a->host : "",
        a->verdict ? ". Certificate: " : "", a->verdict ? a->verdict : "");
}

/* The host whose reply it was. */
static const char *
speaker(const struct outcome *o, const struct report_rcpt *told)
{
    const char *host = told->attempt < o->report->attempt_count
                           ? o->report->attempts[told->attempt].host
                           : NULL;

    return host ? host : o->report->remote;
}

static void
describe(const struct outcome *o, size_t i, struct queue_bounce_rcpt *out)
{
    const struct report_rcpt *told = &o->report->rcpt[i];

    *out = (struct queue_bounce_rcpt){
        .rcpt = &message(o)->envelope.rcpt[told->rcpt],
        .status = told->status,
        .remote_mta = told->status.is_reply ? speaker(o, told) : NULL,
        .explanation = explain(o, i),
        .attempted_ms = o->report->is_aged ? 0 : net_clock_wall(),
    };
    /* What was put off until there was no time left failed for good: RFC
     * 3463's 4.4.7 with the class of a permanent failure. */
    if (o->results[i].outcome == QUEUE_EXPIRED && out->status.klass == 4)
        out->status.klass = 5;
}

static void
free_texts(struct queue_bounce_rcpt *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        void *p;

        memcpy(&p, &list[i].explanation, sizeof(p));
        free(p);
    }
    free(list);
}

static void
address_notice(const struct outcome *o, struct queue_message *notice)
{
    for (size_t i = 0; i < notice->envelope.rcpt_count; i++) {
        own_free(&notice->rcpt[i].destination);
        notice->rcpt[i].destination = router_destination(
            o->relay->config, notice->envelope.from,
            notice->envelope.rcpt[i].address, notice->envelope.rcpt[i].domain);
    }
}

static struct slice
original(const struct outcome *o, bool *whole)
{
    const struct queue_message *m = message(o);
    const struct buf *b = m->body.len ? &m->body : &o->original;

    *whole = b->len == m->size;
    return buf_slice(b);
}

static bool
is_notice_wanted(const struct outcome *o, enum queue_action action)
{
    for (size_t i = 0; i < o->report->rcpt_count; i++)
        if (o->wants_notice[i] && o->action[i] == action)
            return true;
    return false;
}

static void
make_notice(struct outcome *o, enum queue_action action)
{
    struct queue_bounce_rcpt *list =
        mem_array(struct queue_bounce_rcpt, o->report->rcpt_count);
    const struct queue_message *m = message(o);
    struct queue_bounce bounce = {
        .action = action,
        .hostname = o->relay->config->hostname,
        .now_ms = net_clock_wall(),
        .steady_ms = net_clock_steady(),
        .boundary = (uint64_t)arc4random() << 32 | arc4random(),
        .message = m,
        .rcpt = list,
    };

    for (size_t i = 0; i < o->report->rcpt_count; i++)
        if (o->wants_notice[i] && o->action[i] == action)
            describe(o, i, &list[bounce.rcpt_count++]);
    bounce.id = id_next(&o->relay->ids, bounce.steady_ms);
    bounce.retry_until_ms = bounce.now_ms + m->arrived_ms +
                            o->relay->config->retry.expire_ms -
                            bounce.steady_ms;
    bounce.original = original(o, &bounce.original_is_whole);
    o->notices[o->notice_count] = queue_bounce_new(&bounce);
    router_redirect(o->relay->config, &o->notices[o->notice_count++]->envelope);
    free_texts(list, o->report->rcpt_count);
}

static void
make_notices(struct outcome *o)
{
    static const enum queue_action actions[] = {
        QUEUE_ACTION_FAILED, QUEUE_ACTION_DELAYED, QUEUE_ACTION_RELAYED};

    for (size_t i = 0; i < sizeof(actions) / sizeof(*actions); i++)
        if (is_notice_wanted(o, actions[i]))
            make_notice(o, actions[i]);
}

/* --- recording --- */

static bool
work_settle(struct store_call *call, struct queue_store *store, struct err *err)
{
    struct outcome *o = own_container(call, struct outcome, call);
    struct queue_settlement x = {
        .id = message(o)->id,
        .results = o->results,
        .result_count = o->report->rcpt_count,
        .attempts = o->report->attempts,
        .attempt_count = o->report->attempt_count,
        .notices = o->notices,
        .notice_count = o->notice_count,
    };

    return queue_store_settle(store, &x, err);
}

static const struct queue_attempt *
attempt(const struct outcome *o, size_t i)
{
    size_t n = o->results[i].attempt;

    return n < o->report->attempt_count ? &o->report->attempts[n] : NULL;
}

static void
log_result(const struct outcome *o, size_t i)
{
    static const char *const events[] = {
        [QUEUE_DELIVERED] = "delivery.sent",
        [QUEUE_FAILED] = "delivery.bounced",
        [QUEUE_EXPIRED] = "delivery.expired",
        [QUEUE_DEFERRED] = "delivery.deferred",
    };
    const struct queue_result *r = &o->results[i];
    const struct queue_attempt *a = attempt(o, i);
    struct log_line line;

    log_begin(&line, o->relay->log, LOG_LEVEL_INFO, events[r->outcome]);
    log_id(&line, "mid", message(o)->id);
    log_address(&line, "from", message(o)->envelope.from);
    log_address(&line, "to", r->address);
    if (a) {
        log_text(&line, "mx", a->host);
        log_text(&line, "mx_ip", a->address);
        log_text(&line, "policy", a->policy);
        log_text(&line, "proof", a->proof);
        log_text(&line, "tls_version", a->tls_version);
        log_text(&line, "cipher", a->tls_cipher);
        log_text(&line, "certificate", a->verdict);
    }
    log_text(&line, "reply", r->reason);
    log_int(&line, "delay_ms", net_clock_steady() - message(o)->arrived_ms);
    log_end(&line);
}

/* A notice that can't be delivered, or mail whose sender is nobody: this line
 * is all that is said of it (RFC 5321 section 4.5.5). */
static void
log_untold(const struct outcome *o, size_t i)
{
    const struct queue_message *m = message(o);
    const struct queue_result *r = &o->results[i];
    bool is_over = r->outcome == QUEUE_FAILED || r->outcome == QUEUE_EXPIRED;
    struct log_line line;

    if (!is_over || m->envelope.from[0] != '\0')
        return;
    log_begin(&line, o->relay->log, LOG_LEVEL_WARNING, "bounce.dropped");
    log_id(&line, "mid", m->id);
    log_text(&line, "origin", m->origin);
    log_address(&line, "to", r->address);
    log_text(&line, "reply", r->reason);
    log_end(&line);
}

static void
count_results(const struct outcome *o)
{
    struct metric_set *metrics = o->relay->metrics;
    const struct queue_message *m = message(o);
    int64_t delay_ms = net_clock_steady() - m->arrived_ms;

    for (size_t i = 0; i < o->report->attempt_count; i++)
        metrics_attempt(metrics, &o->report->attempts[i]);
    for (size_t i = 0; i < o->report->rcpt_count && !o->report->is_aged; i++)
        metrics_result(metrics, &o->results[i], attempt(o, i),
                       m->rcpt[o->report->rcpt[i].rcpt].destination, delay_ms);
}

static void
settled(struct task *task)
{
    struct outcome *o = own_container(task, struct outcome, call.task);

    if (o->call.failed) {
        o->done(o->ctx, o, true);
        return;
    }
    for (size_t i = 0; i < o->report->rcpt_count; i++) {
        log_result(o, i);
        log_untold(o, i);
    }
    count_results(o);
    o->done(o->ctx, o, false);
}

/* The routes may have changed since the recipient was claimed.  What is still
 * ahead of a change in the store's mailbox is moved with all the others; from
 * then on it is moved here. */
static void
readdress(struct outcome *o, size_t i)
{
    const struct queue_message *m = message(o);
    size_t n = o->report->rcpt[i].rcpt;
    const struct mail_rcpt *rcpt = &m->envelope.rcpt[n];
    struct queue_result *r = &o->results[i];

    own_free(&o->destinations[i]);
    r->destination = NULL;
    if (r->outcome != QUEUE_DEFERRED)
        return;
    o->destinations[i] = router_destination(o->relay->config, m->envelope.from,
                                            rcpt->address, rcpt->domain);
    if (strcmp(o->destinations[i], m->rcpt[n].destination) == 0)
        return;
    r->destination = o->destinations[i];
    r->rcpt = rcpt;
    r->next_ms = net_clock_steady();
}

static void
settle(struct outcome *o)
{
    for (size_t i = 0; i < o->report->rcpt_count; i++)
        readdress(o, i);
    for (size_t i = 0; i < o->notice_count; i++)
        address_notice(o, o->notices[i]);
    o->call.work = work_settle;
    o->call.is_patient = true;
    o->call.task.run = settled;
    o->call.home = &o->relay->inbox;
    store_thread_post(o->relay->store, &o->call);
}

static void sign_notices(struct outcome *o);

/* Somebody waits to hear of it: better without a signature than not at all. */
static void
log_unsigned(const struct outcome *o, const struct mail_status *refusal)
{
    struct log_line line;

    log_begin(&line, o->relay->log, LOG_LEVEL_ERROR, "dkim.unsigned");
    log_id(&line, "mid", o->notices[o->signed_count]->id);
    log_text(&line, "reason", refusal->text);
    log_end(&line);
}

static void
notice_signed(void *ctx, const struct slice *fields,
              const struct mail_status *refusal)
{
    struct outcome *o = ctx;
    struct queue_message *m = o->notices[o->signed_count];

    dkim_signer_free(&o->signer);
    if (fields) {
        buf_put_front(&m->body, *fields);
        m->size = m->body.len;
    } else {
        log_unsigned(o, refusal);
    }
    o->signed_count++;
    sign_notices(o);
}

/* One after the other, where their domain has a key; then all is recorded. */
static void
sign_notices(struct outcome *o)
{
    for (; o->signed_count < o->notice_count; o->signed_count++) {
        const struct queue_message *m = o->notices[o->signed_count];

        if (dkim_signer_start_whole(&o->signer, o->relay->dkim, &o->relay->loop,
                                    buf_slice(&m->body), m->envelope.from,
                                    notice_signed, o))
            return;
    }
    settle(o);
}

static void
record(struct outcome *o)
{
    if (o->notice_count == 0)
        make_notices(o);
    buf_free(&o->original);
    sign_notices(o);
}

/* As many pieces as a notice has a use for. */
static bool
work_read(struct store_call *call, struct queue_store *store, struct err *err)
{
    struct outcome *o = own_container(call, struct outcome, call);
    const struct queue_message *m = message(o);
    size_t max = queue_bounce_original_max(m);

    buf_clear(&o->original);
    for (unsigned i = 0; o->original.len < max && o->original.len < m->size;
         i++)
        if (!queue_store_read(store, m->id, i, &o->original, err))
            return false;
    return true;
}

/* Without the original the notice has no copy of it; it is sent all the
 * same. */
static void
original_read(struct task *task)
{
    struct outcome *o = own_container(task, struct outcome, call.task);

    o->has_original = true;
    record(o);
}

static bool
needs_original(const struct outcome *o)
{
    if (message(o)->body.len > 0 || o->has_original)
        return false;
    for (size_t i = 0; i < o->report->rcpt_count; i++)
        if (o->wants_notice[i])
            return true;
    return false;
}

void
outcome_retry(struct outcome *o)
{
    if (!needs_original(o)) {
        record(o);
        return;
    }
    o->call.work = work_read;
    o->call.task.run = original_read;
    o->call.home = &o->relay->inbox;
    store_thread_post(o->relay->store, &o->call);
}

struct outcome *
outcome_start(struct relay *relay, struct report *report, outcome_fn *done,
              void *ctx)
{
    struct outcome *o = mem_new(struct outcome);
    size_t n = report->rcpt_count;

    o->relay = relay;
    o->report = report;
    o->done = done;
    o->ctx = ctx;
    o->jitter = arc4random();
    o->results = mem_array(struct queue_result, n);
    o->reasons = mem_array(char *, n);
    o->destinations = mem_array(char *, n);
    o->wants_notice = mem_array(bool, n);
    o->action = mem_array(enum queue_action, n);
    for (size_t i = 0; i < n; i++)
        decide(o, i);
    outcome_retry(o);
    return o;
}

void
outcome_free(struct outcome **place)
{
    struct outcome *o = take(place);

    if (!o)
        return;
    dkim_signer_free(&o->signer);
    for (size_t i = 0; i < o->report->rcpt_count; i++) {
        free(o->reasons[i]);
        free(o->destinations[i]);
    }
    for (size_t i = 0; i < o->notice_count; i++)
        queue_message_free(&o->notices[i]);
    free(o->results);
    free(o->reasons);
    free(o->destinations);
    free(o->wants_notice);
    free(o->action);
    buf_free(&o->original);
    report_free(&o->report);
    free(o);
}

struct queue_job *
outcome_job(const struct outcome *o)
{
    return o->report->job;
}

bool
outcome_has_notices(const struct outcome *o)
{
    return o->notice_count > 0;
}

int64_t
outcome_next_ms(const struct outcome *o)
{
    int64_t next = INT64_MAX;

    for (size_t i = 0; i < o->report->rcpt_count; i++)
        if (o->results[i].outcome == QUEUE_DEFERRED &&
            o->results[i].next_ms < next)
            next = o->results[i].next_ms;
    return next;
}

struct outcome **
outcome_link(struct outcome *o)
{
    return &o->link;
}
