#include "queue/bounce.h"
#include "relay/base/mem.h"
#include "relay/daemon/dkim_signer.h"
#include "relay/daemon/history.h"
#include "relay/daemon/lifetime.h"
#include "relay/daemon/outcome_inside.h"
#include "relay/daemon/router.h"
#include "relay/daemon/webhooks.h"
#include "relay/mail/remote_id.h"
#include "relay/net/timer.h"
#include "relay/watch/recent.h"
#include "relay/watch/sites.h"

#include <assert.h>
#include <stdlib.h>

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
    const struct queue_message *m = outcome_message(o);
    const struct mail_rcpt *rcpt = &m->envelope.rcpt[o->report->rcpt[i].rcpt];

    if (!queue_bounce_is_wanted(action, m, rcpt))
        return;
    o->wants_notice[i] = true;
    o->action[i] = action;
}

/* When its age began to count. */
static int64_t
born_ms(const struct relay *relay, const struct queue_message *m)
{
    return m->arrived_ms > relay->ages_from_ms ? m->arrived_ms
                                               : relay->ages_from_ms;
}

static bool
is_expired(const struct relay *relay, const struct report *report,
           const struct queue_rcpt *rcpt, uint32_t random)
{
    /* What others have tried in vain counts for those who waited. */
    uint32_t attempts = report->is_aged ? rcpt->attempts + report->failures
                                        : rcpt->attempts + 1;

    return lifetime_is_over(&relay->config->retry, report->job->message,
                            born_ms(relay, report->job->message), attempts,
                            net_clock_steady(), random);
}

static bool
is_due_for_warning(const struct relay *relay, const struct queue_message *m,
                   const struct queue_rcpt *rcpt)
{
    return !rcpt->warned &&
           queue_schedule_is_late(&relay->config->retry, born_ms(relay, m),
                                  net_clock_steady());
}

/* The kernel is asked for it: not for what is delivered. */
static uint32_t
jitter(struct outcome *o)
{
    if (!o->has_jitter)
        o->jitter = arc4random();
    o->has_jitter = true;
    return o->jitter;
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
                                              net_clock_steady(), jitter(o));
    if (is_due_for_warning(o->relay, outcome_message(o), rcpt)) {
        result->warned = true;
        want_notice(o, i, QUEUE_ACTION_DELAYED);
    }
}

static void
decide(struct outcome *o, size_t i)
{
    const struct report_rcpt *told = &o->report->rcpt[i];
    const struct queue_message *m = outcome_message(o);
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
        !o->report->is_kept_back &&
        is_expired(o->relay, o->report, rcpt, jitter(o)))
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

        if ((!is_held(report, i) && is_expired(relay, report, rcpt, 0)) ||
            is_due_for_warning(relay, m, rcpt))
            return false;
    }
    return true;
}

/* --- recording --- */

static bool
work_settle(struct store_call *call, struct queue_store *store, struct err *err)
{
    struct outcome *o = own_container(call, struct outcome, call);
    struct queue_settlement x = {
        .id = outcome_message(o)->id,
        .results = o->results,
        .result_count = o->report->rcpt_count,
        .attempts = o->report->attempts,
        .attempt_count = o->report->attempt_count,
        .notices = o->notices,
        .notice_count = o->notice_count,
        .now_ms = o->settled_ms,
        .untold = &o->untold,
    };

    return queue_store_settle(store, &x, err);
}

static const struct queue_attempt *
attempt(const struct outcome *o, size_t i)
{
    size_t n = o->results[i].attempt;

    return n < o->report->attempt_count ? &o->report->attempts[n] : NULL;
}

/* Which of a message's recipients it is, from the first attempt to the last. */
static void
log_rid(struct log_line *line, const struct outcome *o, size_t i)
{
    char mid[ID_TEXT_SIZE], rid[ID_TEXT_SIZE + 12];

    (void)snprintf(rid, sizeof(rid), "%s.%u",
                   id_text(outcome_message(o)->id, mid), o->results[i].number);
    log_text(line, "rid", rid);
}

static void
log_status(struct log_line *line, const struct mail_status *status,
           bool is_taken)
{
    char enhanced[16], remote[MAIL_REMOTE_ID_MAX + 1];

    log_int(line, "code", status->code);
    log_text(line, "dsn", mail_status_enhanced(status, enhanced));
    if (is_taken && status->is_reply &&
        mail_remote_id(slice_of(status->text), remote))
        log_text(line, "remote_id", remote);
}

static void
log_delays(struct log_line *line, const struct report_delays *d)
{
    const struct log_number list[] = {
        {"queue", d->queue},
        {"dns", d->dns},
        {"connect", d->connect},
        {"data", d->data},
    };

    if (d->is_known)
        log_numbers(line, "delays", list, sizeof(list) / sizeof(*list));
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
    const struct queue_message *m = outcome_message(o);
    const struct queue_rcpt *rcpt = &m->rcpt[o->report->rcpt[i].rcpt];
    const struct queue_result *r = &o->results[i];
    const struct queue_attempt *a = attempt(o, i);
    int64_t now_ms = net_clock_steady();
    struct log_line line;

    log_begin(&line, o->relay->log, LOG_LEVEL_INFO, events[r->outcome]);
    log_id(&line, "mid", m->id);
    log_address(&line, "from", m->envelope.from);
    log_address(&line, "to", r->address);
    log_text(&line, "msgid", m->message_id);
    log_rid(&line, o, i);
    log_text(&line, "destination", rcpt->destination);
    if (a) {
        log_int(&line, "attempt", (int64_t)rcpt->attempts + 1);
        log_text(&line, "mx", a->host);
        log_text(&line, "mx_ip", a->address);
        log_text(&line, "policy", a->policy);
        log_text(&line, "proof", a->proof);
        log_text(&line, "tls_version", a->tls_version);
        log_text(&line, "cipher", a->tls_cipher);
        log_text(&line, "certificate", a->verdict);
    }
    log_status(&line, &o->report->rcpt[i].status,
               r->outcome == QUEUE_DELIVERED);
    log_text(&line, "reply", r->reason);
    log_int(&line, "delay_ms", now_ms - m->arrived_ms);
    log_delays(&line, &o->report->delays);
    if (r->outcome == QUEUE_DEFERRED)
        log_int(&line, "next_in_s",
                r->next_ms > now_ms ? (r->next_ms - now_ms + 999) / 1000 : 0);
    log_end(&line);
}

static bool
is_end(const struct queue_result *r)
{
    return r->outcome == QUEUE_FAILED || r->outcome == QUEUE_EXPIRED;
}

/* The queue does not take the notice that says so, and holds the recipient. */
static bool
note_aside(struct outcome *o, size_t i)
{
    struct queue_result *r = &o->results[i];
    struct log_line line;

    if (o->untold.kind == ERR_NONE || !is_end(r))
        return false;
    log_begin(&line, o->relay->log, LOG_LEVEL_ERROR, "bounce.refused");
    log_id(&line, "mid", outcome_message(o)->id);
    log_rid(&line, o, i);
    log_address(&line, "to", r->address);
    log_text(&line, "reason", o->untold.text);
    log_text(&line, "reply", r->reason);
    log_end(&line);
    r->outcome = QUEUE_DEFERRED;
    return true;
}

/* A notice that can't be delivered, or mail whose sender is nobody: this line
 * is all that is said of it (RFC 5321 section 4.5.5). */
static void
log_untold(const struct outcome *o, size_t i)
{
    const struct queue_message *m = outcome_message(o);
    const struct queue_result *r = &o->results[i];
    struct log_line line;

    if (!is_end(r) || m->envelope.from[0] != '\0')
        return;
    log_begin(&line, o->relay->log, LOG_LEVEL_WARNING, "bounce.dropped");
    log_id(&line, "mid", m->id);
    log_rid(&line, o, i);
    log_text(&line, "origin", m->origin);
    log_address(&line, "to", r->address);
    log_text(&line, "reply", r->reason);
    log_end(&line);
}

static void
count_result(const struct outcome *o, size_t i, int64_t delay_ms)
{
    const struct queue_message *m = outcome_message(o);
    const struct report_rcpt *told = &o->report->rcpt[i];
    const struct queue_attempt *a = attempt(o, i);
    struct metrics_delivery d = {
        .result = &o->results[i],
        .status = &told->status,
        .attempt = a,
        .destination = m->rcpt[told->rcpt].destination,
        .delay_ms = delay_ms,
        .demands_requiretls = mail_envelope_demands_requiretls(&m->envelope),
    };

    d.site = sites_count(o->relay->sites, d.destination, a ? a->host : NULL);
    metrics_result(o->relay->metrics, &d);
    recent_add(o->relay->recent, d.destination, d.result, a, net_clock_wall());
    if (d.result->outcome == QUEUE_DELIVERED)
        history_delivered(o->relay->history, delay_ms);
}

static void
count_results(const struct outcome *o)
{
    struct metric_set *metrics = o->relay->metrics;
    const struct queue_message *m = outcome_message(o);
    int64_t delay_ms = net_clock_steady() - m->arrived_ms;

    for (size_t i = 0; i < o->report->attempt_count; i++)
        metrics_attempt(metrics, &o->report->attempts[i]);
    for (size_t i = 0; i < o->report->rcpt_count && !o->report->is_aged; i++)
        count_result(o, i, delay_ms);
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
        if (note_aside(o, i))
            continue;
        log_result(o, i);
        log_untold(o, i);
        webhooks_told(o->relay->webhooks, o->feeds[i]);
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
    const struct queue_message *m = outcome_message(o);
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
name_feeds(struct outcome *o, size_t i)
{
    webhooks_names_free(&o->feeds[i]);
    o->feeds[i] = webhooks_wanting(o->relay->webhooks, outcome_message(o),
                                   &o->results[i]);
    o->results[i].feeds = o->feeds[i];
}

static void
settle(struct outcome *o)
{
    for (size_t i = 0; i < o->report->rcpt_count; i++) {
        readdress(o, i);
        name_feeds(o, i);
    }
    o->settled_ms = net_clock_wall();
    outcome_address_notices(o);
    o->call.work = work_settle;
    o->call.is_patient = true;
    o->call.task.run = settled;
    o->call.home = &o->relay->inbox;
    store_thread_post(o->relay->store, &o->call);
}

static void
record(struct outcome *o)
{
    outcome_write_notices(o);
    buf_free(&o->original);
    outcome_sign_notices(o, settle);
}

/* As many pieces as a notice has a use for. */
static bool
work_read(struct store_call *call, struct queue_store *store, struct err *err)
{
    struct outcome *o = own_container(call, struct outcome, call);
    const struct queue_message *m = outcome_message(o);
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
    if (outcome_message(o)->body.len > 0 || o->has_original)
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
    o->results = mem_array(struct queue_result, n);
    o->reasons = mem_array(char *, n);
    o->destinations = mem_array(char *, n);
    o->feeds = mem_array(char **, n);
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
        webhooks_names_free(&o->feeds[i]);
    }
    for (size_t i = 0; i < o->notice_count; i++)
        queue_message_free(&o->notices[i]);
    free(o->results);
    free(o->reasons);
    free(o->destinations);
    free(o->feeds);
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
