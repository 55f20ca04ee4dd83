#include "relay/daemon/submit.h"

#include "relay/base/mem.h"
#include "relay/daemon/intake.h"
#include "relay/mail/lines.h"

#include <stdlib.h>

enum turn { TURN_PIECE, TURN_END, TURN_ABANDON };

/* Goes to the worker and home again for each turn, and belongs to who has it;
 * but what the worker keeps is the worker's all the time. */
struct submit {
    struct task task;
    struct relay *relay;
    struct worker *worker;
    submit_fn *done;
    void *ctx;
    const char *source;
    char *trace_id; /* or NULL */
    struct addr client;
    struct mail_envelope envelope;
    enum turn turn;
    struct buf octets;
    struct queue_receipt *receipt;
    bool is_answered; /* with `status` */
    struct mail_status status;

    /* The worker's. */
    struct submit *next, **at; /* of worker->submits; at NULL: not there */
    struct intake *intake;
    struct mail_lines lines;
    uint64_t size;
    bool has_turn, is_over;
};

/* --- on the worker --- */

static void
come_home(struct task *task)
{
    struct submit *s = own_container(task, struct submit, task);
    struct mail_status status = s->status;
    void *ctx = s->ctx;
    submit_fn *done = s->done;

    if (!s->is_answered) {
        done(ctx, NULL);
        return;
    }
    mail_envelope_done(&s->envelope);
    buf_free(&s->octets);
    free(s->trace_id);
    free(s->receipt);
    free(s);
    done(ctx, &status);
}

static void
go_home(struct submit *s)
{
    s->has_turn = false;
    s->is_answered = s->is_over;
    s->task.run = come_home;
    task_post(&s->relay->inbox, &s->task);
}

/* The intake, if there still is one, is nobody's any more. */
static void
end(struct submit *s)
{
    s->is_over = true;
    intake_abandon(&s->intake);
    if (s->at) {
        *s->at = s->next;
        if (s->next)
            s->next->at = s->at;
        s->at = NULL;
    }
    if (s->has_turn)
        go_home(s);
}

static void
refuse(struct submit *s, int code, const char *enhanced, const char *why)
{
    mail_status_set(&s->status, code, enhanced, "%s", why);
    end(s);
}

void
submit_cut(struct submit *s)
{
    refuse(s, 451, "4.3.2", "the relay stops");
}

static void
begin(struct submit *s)
{
    char ip[ADDR_TEXT_SIZE];
    bool has_ip = s->client.any.sa_family != AF_UNSPEC;
    struct intake_client client = {
        .source = s->source,
        .ip = has_ip ? addr_text(&s->client, ip) : NULL,
        .helo = "api",
        .trace_id = s->trace_id,
        .is_esmtp = true,
    };
    struct worker *w = s->worker;

    s->intake = intake_new(w, &client, &s->envelope);
    s->next = w->submits;
    s->at = &w->submits;
    if (s->next)
        s->next->at = &s->next;
    w->submits = s;
}

/* Canonical lines; once there is space for them. */
static void
give(struct submit *s, struct slice lines)
{
    s->size += lines.len;
    if (s->size > s->worker->config->access.size_max) {
        refuse(s, 552, "5.3.4", "larger than a message may be");
        return;
    }
    intake_body(s->intake, lines);
    go_home(s);
}

static void
take_piece(struct submit *s)
{
    scoped(buf_free) struct buf lines = {0};
    struct err err;

    if (mail_lines_add(&s->lines, buf_slice(&s->octets), &lines, &err))
        give(s, buf_slice(&lines));
    else
        refuse(s, 554, "5.6.0", err.text);
}

static void
stored(void *ctx, const struct mail_status *status)
{
    struct submit *s = ctx;

    s->intake = NULL;
    s->status = *status;
    end(s);
}

static void
take_end(struct submit *s)
{
    scoped(buf_free) struct buf lines = {0};
    struct err err;

    if (!mail_lines_end(&s->lines, &lines, &err)) {
        refuse(s, 554, "5.6.0", err.text);
        return;
    }
    s->size += lines.len;
    if (s->size == 0) {
        refuse(s, 554, "5.6.0", "the message is empty");
        return;
    }
    intake_body(s->intake, buf_slice(&lines));
    if (s->receipt)
        intake_receipt(s->intake, take(&s->receipt));
    intake_end(s->intake, &s->envelope, stored, s);
}

static void
act(void *ctx)
{
    struct submit *s = ctx;

    switch (s->turn) {
    case TURN_PIECE:
        take_piece(s);
        break;
    case TURN_END:
        take_end(s);
        break;
    case TURN_ABANDON:
        refuse(s, 451, "4.3.2", "given up");
        break;
    }
}

static void
arrived(struct task *task)
{
    struct submit *s = own_container(task, struct submit, task);

    s->has_turn = true;
    if (s->is_over) {
        go_home(s);
        return;
    }
    if (s->worker->is_stopping) {
        submit_cut(s);
        return;
    }
    if (!s->intake)
        begin(s);
    if (s->turn == TURN_ABANDON || intake_has_space(s->intake))
        act(s);
    else
        intake_wait(s->intake, act, s);
}

/* --- on the main thread --- */

struct submit *
submit_new(struct relay *relay, struct mail_envelope *envelope,
           const char *source, const struct addr *client, submit_fn *done,
           void *ctx)
{
    struct submit *s = mem_new(struct submit);

    s->relay = relay;
    s->worker =
        relay->workers[(size_t)net_clock_steady() % relay->worker_count];
    s->envelope = *envelope;
    *envelope = (struct mail_envelope){0};
    s->source = source;
    s->client.any.sa_family = AF_UNSPEC;
    if (client)
        s->client = *client;
    s->done = done;
    s->ctx = ctx;
    return s;
}

void
submit_trace(struct submit *s, const char *trace_id)
{
    own_free(&s->trace_id);
    s->trace_id = mem_text(trace_id);
}

/* At the relay's end there is no worker any more, and it has cut what it
 * had. */
static void
send_turn(struct submit *s, enum turn turn)
{
    if (s->relay->worker_count == 0) {
        mail_status_set(&s->status, 451, "4.3.2", "the relay stops");
        s->is_answered = true;
        come_home(&s->task);
        return;
    }
    s->turn = turn;
    s->task.run = arrived;
    worker_post(s->worker, &s->task);
}

void
submit_piece(struct submit *s, struct buf *octets)
{
    buf_free(&s->octets);
    s->octets = *octets;
    *octets = (struct buf){0};
    send_turn(s, TURN_PIECE);
}

void
submit_end(struct submit *s, struct queue_receipt *receipt)
{
    s->receipt = receipt;
    send_turn(s, TURN_END);
}

void
submit_abandon(struct submit *s)
{
    send_turn(s, TURN_ABANDON);
}
