#include "relay/base/mem.h"
#include "relay/daemon/dispatch.h"
#include "relay/daemon/dkim_signer.h"
#include "relay/daemon/intake_inside.h"
#include "relay/daemon/receive.h"
#include "relay/daemon/router.h"

#include <assert.h>
#include <stdlib.h>

struct enqueue_call {
    struct store_call call;
    struct intake *intake;
    struct queue_message *message;
    struct buf kept; /* its body, which the store has in pieces */
};

void
intake_destroy(struct intake *in)
{
    in->worker->kept -= in->kept;
    queue_message_free(&in->message);
    dkim_signer_free(&in->signer);
    free(in->signed_by);
    free(in->source);
    free(in->trace_id);
    free(in->user);
    free(in->certificate);
    free(in);
}

/* --- octets coming in --- */

static bool
has_8bit(struct slice s)
{
    uint64_t word, all = 0;

    for (; s.len >= sizeof(word); s = slice_from(s, sizeof(word))) {
        memcpy(&word, s.p, sizeof(word));
        all |= word;
    }
    for (size_t i = 0; i < s.len; i++)
        all |= (unsigned char)s.p[i];
    return (all & 0x8080808080808080U) != 0;
}

/* Where the header section ended, if it has. */
static void
find_front(struct intake *in)
{
    struct slice behind;

    if (in->front_len != 0 || !in->scan.ended)
        return;
    in->front_len = in->trace_len + in->scan.section;
    behind = intake_rest(in);
    in->is_bare = in->scan.section == 0 && !in->scan.is_cut && behind.len > 0 &&
                  behind.p[0] != '\r';
}

void
intake_body(struct intake *in, struct slice octets)
{
    struct queue_message *m = in->message;

    if (!in->scan.ended)
        mail_header_scan_feed(&in->scan, octets);
    if (!m->has_8bit)
        m->has_8bit = has_8bit(octets);
    buf_add(&m->body, octets);
    find_front(in);
    intake_hash(in, octets);
    while (intake_rest(in).len > QUEUE_CHUNK)
        intake_spill(in, QUEUE_CHUNK);
}

bool
intake_has_space(const struct intake *in)
{
    return in->under_way < RECEIVE_SPILLS_MAX;
}

void
intake_wait(struct intake *in, void (*room)(void *ctx), void *ctx)
{
    in->room = room;
    in->room_ctx = ctx;
}

/* --- the whole message --- */

static void
finish(struct intake *in, const struct mail_status *status)
{
    if (!in->abandoned)
        in->done(in->done_ctx, status);
    intake_destroy(in);
}

/* Our own trouble is never the sender's fault: 4yz, unless there will never be
 * room for such a message. */
static void
set_failure(struct mail_status *status, const struct err *err)
{
    if (err->kind == ERR_LIMIT)
        mail_status_set(status, 552, "5.3.4", "larger than the queue takes");
    else if (err->kind == ERR_SPACE)
        mail_status_set(status, 452, "4.3.1", "the disk is full");
    else
        mail_status_set(status, 451, "4.3.0",
                        "the queue can't be written to now");
}

static void
log_accepted(const struct intake *in, const struct queue_message *m)
{
    struct log_line line;

    log_begin(&line, in->worker->relay->log, LOG_LEVEL_INFO,
              "message.accepted");
    log_id(&line, "mid", m->id);
    if (in->sid)
        log_id(&line, "sid", in->sid);
    log_text(&line, "listener", in->source);
    log_text(&line, "client", m->origin);
    log_address(&line, "from", m->envelope.from);
    log_address(&line, "to", m->envelope.rcpt[0].address);
    log_int(&line, "rcpts", (int64_t)m->envelope.rcpt_count);
    log_int(&line, "size", (int64_t)m->size);
    log_text(&line, "msgid", m->message_id);
    log_text(&line, "dkim", in->signed_by);
    log_text(&line, "user", in->user);
    log_text(&line, "certificate", in->certificate);
    if (in->trace_id)
        log_text(&line, "trace_id", in->trace_id);
    else if (in->scan.trace_id[0])
        log_text(&line, "trace_id", in->scan.trace_id);
    log_end(&line);
}

static void
enqueue_done(struct task *task)
{
    struct enqueue_call *x =
        own_container(task, struct enqueue_call, call.task);
    struct intake *in = x->intake;
    struct relay *relay = in->worker->relay;
    struct queue_message *m = take(&x->message);
    struct mail_status status = {0};
    char id[ID_TEXT_SIZE];

    assert(in->under_way == 0);
    if (x->call.failed) {
        set_failure(&status, in->spill_failed ? &in->err : &x->call.err);
        if (in->spilled > 0)
            intake_unspill(in);
        queue_message_free(&m);
    } else {
        mail_status_set(&status, 250, "2.0.0", "queued as %s",
                        id_text(m->id, id));
        metrics_count(relay->metrics, METRICS_ACCEPTED, in->source);
        log_accepted(in, m);
        if (x->kept.len == m->size) {
            m->body = x->kept;
            x->kept = (struct buf){0};
        }
        dispatch_send(relay, m);
    }
    buf_free(&x->kept);
    free(x);
    finish(in, &status);
}

static bool
work_enqueue(struct store_call *call, struct queue_store *store,
             struct err *err)
{
    struct enqueue_call *x = own_container(call, struct enqueue_call, call);

    return queue_store_enqueue(store, x->message, true, err);
}

/* The pieces that are still on their way are ahead of it, into the store and
 * home; should one fail, the store refuses a message that is not whole. */
static void
enqueue(struct intake *in)
{
    struct enqueue_call *x = mem_new(struct enqueue_call);

    x->call.grows = true;
    x->call.work = work_enqueue;
    x->call.task.run = enqueue_done;
    x->call.home = &in->worker->inbox;
    x->intake = in;
    x->message = in->message;
    if (in->spilled > 0) {
        x->kept = x->message->body;
        x->message->body = (struct buf){0};
    }
    /* unspill needs the id, and the message may be gone by then. */
    in->message = queue_message_new();
    in->message->id = x->message->id;
    store_thread_post(in->worker->relay->store, &x->call);
}

static void
address_message(struct intake *in, struct mail_envelope *envelope)
{
    const struct config *c = in->worker->config;
    struct queue_message *m = in->message;

    m->envelope = *envelope;
    *envelope = (struct mail_envelope){0};
    router_redirect(c, &m->envelope);
    queue_message_number(m);
    for (size_t i = 0; i < m->envelope.rcpt_count; i++)
        m->rcpt[i].destination =
            router_destination(c, m->envelope.from, m->envelope.rcpt[i].address,
                               m->envelope.rcpt[i].domain);
    m->tls_required_no = in->scan.tls_required_no;
    m->is_header_ascii = !in->scan.is_cut && !has_8bit(intake_header(in));
    if (in->scan.message_id[0])
        m->message_id = mem_text(in->scan.message_id);
}

/* Finishes later, as promised, and behind the pieces that are still on their
 * way.  What the store fails to drop is dropped at the next start. */
struct refusal {
    struct store_call call;
    struct intake *intake;
    struct mail_status status;
};

static bool
work_refusal(struct store_call *call, struct queue_store *store,
             struct err *err)
{
    struct refusal *x = own_container(call, struct refusal, call);

    return x->intake->spilled == 0 ||
           queue_store_unspill(store, x->intake->message->id, err);
}

static void
refusal_done(struct task *task)
{
    struct refusal *x = own_container(task, struct refusal, call.task);

    assert(x->intake->under_way == 0);
    finish(x->intake, &x->status);
    free(x);
}

void
intake_refuse(struct intake *in, const struct mail_status *status)
{
    struct refusal *x = mem_new(struct refusal);

    x->call.work = work_refusal;
    x->call.task.run = refusal_done;
    x->call.home = &in->worker->inbox;
    x->intake = in;
    x->status = *status;
    store_thread_post(in->worker->relay->store, &x->call);
}

static bool
is_refused(const struct intake *in, struct mail_status *status)
{
    if (in->scan.received > RECEIVE_HOPS_MAX) {
        mail_status_set(status, 554, "5.4.6",
                        "too many hops: this mail goes in circles");
        return true;
    }
    if (!intake_is_mended(in, status))
        return true;
    if (in->spill_failed)
        set_failure(status, &in->err);
    return in->spill_failed;
}

void
intake_seal(struct intake *in)
{
    size_t rest = intake_rest(in).len;

    if (in->spilled > 0 && rest > 0)
        intake_spill(in, rest);
    else
        in->message->size += rest;
    in->message->size += in->front_len;
    if (in->spilled > 0)
        intake_spill_front(in);
    enqueue(in);
}

void
intake_receipt(struct intake *in, struct queue_receipt *receipt)
{
    free(in->message->receipt);
    in->message->receipt = receipt;
}

void
intake_end(struct intake *in, struct mail_envelope *envelope,
           void (*done)(void *ctx, const struct mail_status *status), void *ctx)
{
    struct mail_status status = {0};
    bool is_own;

    in->ended = true;
    in->done = done;
    in->done_ctx = ctx;
    mail_header_scan_end(&in->scan);
    find_front(in);
    intake_hash(in, (struct slice){0});
    is_own = intake_is_own(in, &status);
    intake_mend(in, envelope);
    /* An author counts as he was given, or as he goes out. */
    is_own = is_own || intake_is_own(in, &status);
    address_message(in, envelope);
    if (!is_own || is_refused(in, &status))
        intake_refuse(in, &status);
    else if (!intake_sign(in))
        intake_seal(in);
}

void
intake_abandon(struct intake **slot)
{
    struct intake *in = take(slot);

    if (!in)
        return;
    in->abandoned = true;
    if (!in->ended)
        intake_end_abandoned(in);
}

/* --- birth --- */

/* The keyword of RFC 3848; RFC 6531 section 4.3. */
static const char *
with(const struct intake_client *client, const struct mail_envelope *e)
{
    static const char *const words[2][2][2] = {
        {{"ESMTP", "ESMTPA"}, {"ESMTPS", "ESMTPSA"}},
        {{"UTF8SMTP", "UTF8SMTPA"}, {"UTF8SMTPS", "UTF8SMTPSA"}},
    };

    if (!client->is_esmtp && !client->tls)
        return "SMTP";
    return words[e->smtputf8][client->tls != NULL][client->user != NULL];
}

static void
begin_body(struct intake *in, const struct intake_client *client,
           const struct mail_envelope *e)
{
    char id[ID_TEXT_SIZE];
    struct mail_received field = {
        .helo = client->helo,
        .client_ip =
            in->worker->config->rewrite.strip_received ? NULL : client->ip,
        .by = in->worker->config->hostname,
        .with = with(client, e),
        .tls_version = client->tls ? client->tls->version : NULL,
        .tls_cipher = client->tls ? client->tls->cipher : NULL,
        .tls_client = client->has_certificate ? client->tls->subject : NULL,
        .id = id_text(in->message->id, id),
        .rcpt = e->rcpt_count == 1 ? e->rcpt[0].address : NULL,
        .unix_ms = net_clock_wall(),
    };

    mail_header_received(&in->message->body, &field);
    router_add_originals(in->worker->config, e, &in->message->body);
    in->trace_len = in->message->body.len;
}

struct intake *
intake_new(struct worker *w, const struct intake_client *client,
           const struct mail_envelope *envelope)
{
    struct intake *in = mem_new(struct intake);

    in->worker = w;
    in->message = queue_message_new();
    in->message->arrived_ms = net_clock_steady();
    in->message->id = id_next(&w->relay->ids, in->message->arrived_ms);
    in->sid = client->sid;
    in->trace_id = mem_text(client->trace_id);
    in->source = mem_text(client->source);
    in->user = mem_text(client->user);
    if (client->has_certificate)
        in->certificate = mem_text(client->tls->subject);
    in->message->origin = client->ip
                              ? mem_printf("%s (%s)", client->ip, client->helo)
                              : mem_printf("local (%s)", client->helo);
    in->signer = dkim_signer_new(w->relay->dkim);
    begin_body(in, client, envelope);
    return in;
}
