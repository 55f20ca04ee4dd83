#include "queue/bounce.h"
#include "relay/base/mem.h"
#include "relay/daemon/dkim_signer.h"
#include "relay/daemon/outcome_inside.h"
#include "relay/daemon/router.h"
#include "relay/guard/notice_pace.h"
#include "relay/net/timer.h"

#include <stdlib.h>

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
        .rcpt = &outcome_message(o)->envelope.rcpt[told->rcpt],
        .status = told->status,
        .remote_mta = told->status.is_reply ? speaker(o, told) : NULL,
        .explanation = explain(o, i),
        .attempted_ms = o->report->attempt_count > 0 ? net_clock_wall() : 0,
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
address(const struct outcome *o, struct queue_message *notice)
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
    const struct queue_message *m = outcome_message(o);
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
log_limited(const struct relay *relay, const struct queue_message *notice,
            int64_t wait_ms)
{
    struct log_line line;

    log_begin(&line, relay->log, LOG_LEVEL_INFO, "bounce.limited");
    log_id(&line, "mid", notice->id);
    log_text(&line, "origin", notice->origin);
    log_address(&line, "to", notice->envelope.rcpt[0].address);
    log_int(&line, "next_in_s", (wait_ms + 999) / 1000);
    log_end(&line);
    metric_add(relay->metrics, METRICS_NOTICES_LIMITED, NULL, 1);
}

/* It goes out while there is time left to try it more than once. */
static void
put_in_turn(struct relay *relay, struct queue_message *notice)
{
    const struct config *c = relay->config;
    int64_t now_ms = net_clock_steady(), most_ms = c->retry.expire_ms / 2;
    int64_t wait_ms;

    if (most_ms > NOTICE_PACE_WAIT_MAX_MS)
        most_ms = NOTICE_PACE_WAIT_MAX_MS;
    wait_ms =
        notice_pace_take(relay->notice_pace, &c->notices,
                         notice->envelope.rcpt[0].address, most_ms, now_ms);
    if (wait_ms == 0)
        return;
    notice->rcpt[0].next_ms = now_ms + wait_ms;
    notice->rcpt[0].last =
        mem_text("this address gets many notices (retry.notices)");
    log_limited(relay, notice, wait_ms);
}

static void
make_notice(struct outcome *o, enum queue_action action)
{
    struct queue_bounce_rcpt *list =
        mem_array(struct queue_bounce_rcpt, o->report->rcpt_count);
    const struct queue_message *m = outcome_message(o);
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
    put_in_turn(o->relay, o->notices[o->notice_count]);
    router_redirect(o->relay->config, &o->notices[o->notice_count++]->envelope);
    free_texts(list, o->report->rcpt_count);
}

void
outcome_write_notices(struct outcome *o)
{
    static const enum queue_action actions[] = {
        QUEUE_ACTION_FAILED, QUEUE_ACTION_DELAYED, QUEUE_ACTION_RELAYED};

    if (o->notice_count > 0)
        return;
    for (size_t i = 0; i < sizeof(actions) / sizeof(*actions); i++)
        if (is_notice_wanted(o, actions[i]))
            make_notice(o, actions[i]);
}

void
outcome_address_notices(struct outcome *o)
{
    for (size_t i = 0; i < o->notice_count; i++)
        address(o, o->notices[i]);
}

/* --- signatures --- */

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
    outcome_sign_notices(o, o->signed_all);
}

void
outcome_sign_notices(struct outcome *o, void (*done)(struct outcome *o))
{
    o->signed_all = done;
    for (; o->signed_count < o->notice_count; o->signed_count++) {
        const struct queue_message *m = o->notices[o->signed_count];

        if (dkim_signer_start_whole(&o->signer, o->relay->dkim, &o->relay->loop,
                                    buf_slice(&m->body), m->envelope.from,
                                    notice_signed, o))
            return;
    }
    done(o);
}
