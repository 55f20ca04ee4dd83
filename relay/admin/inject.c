#include "queue/store.h"
#include "relay/admin/answer.h"
#include "relay/admin/draft.h"
#include "relay/admin/inject_inside.h"
#include "relay/admin/routes.h"
#include "relay/base/mem.h"
#include "relay/daemon/submit.h"
#include "relay/mail/trace_parent.h"
#include "relay/net/timer.h"

#include <stdio.h>
#include <stdlib.h>

/* For what is our own trouble, and for who comes while the same key is under
 * way. */
enum { RETRY_S = 5 };

enum {
    PIECE = 64 * 1024, /* octets handed over at a time */
    UNIQUE_SIZE = 27,  /* 130 bits, and a NUL */
};

/* --- its end --- */

static void
leave(struct inject *x)
{
    *x->at = x->next;
    if (x->next)
        x->next->at = x->at;
    x->relay->inject_octets -= x->budgeted;
    admin_inject_uncount(x);
    mail_envelope_done(&x->envelope);
    digest_free(&x->digest);
    buf_free(&x->octets);
    buf_free(&x->gathered);
    free(x);
}

static void
add_retry(struct net_http_request *r, unsigned seconds)
{
    char text[16];

    (void)snprintf(text, sizeof(text), "%u", seconds);
    net_http_add_header(r, "Retry-After", text);
}

static void
refuse(struct inject *x, int status, const char *why)
{
    struct net_http_request *r = x->request;
    unsigned wait_s = x->wait_s ? x->wait_s : RETRY_S;

    leave(x);
    if (status == 429 || status == 503 || status == 409)
        add_retry(r, wait_s);
    admin_answer_error(r, status, why);
}

static void
fail(struct inject *x, const struct mail_status *why)
{
    refuse(x, admin_inject_status(why), why->text);
}

static void
promise(struct inject *x, const char *id)
{
    struct net_http_request *r = x->request;

    x->counted = 0;
    leave(x);
    admin_answer_json(r, 202, json_pack("{s:o}", "id", admin_text(id)));
}

/* Nobody hears the answer. */
static void
give_up(struct inject *x)
{
    if (x->submit) {
        x->is_away = true;
        submit_abandon(x->submit);
    } else {
        refuse(x, 503, "the client is gone");
    }
}

/* --- into the queue --- */

static void hand_over(struct inject *x);

static void
turned(void *ctx, const struct mail_status *status)
{
    struct inject *x = ctx;

    x->is_away = false;
    if (!status) {
        if (x->is_gone)
            give_up(x);
        else
            hand_over(x);
        return;
    }
    x->submit = NULL;
    if (mail_status_is_success(status))
        promise(x, strrchr(status->text, ' ') + 1);
    else
        fail(x, status);
}

static void
end(struct inject *x)
{
    struct queue_receipt *receipt = NULL;

    if (x->key[0]) {
        receipt = mem_new(struct queue_receipt);
        memcpy(receipt->key, x->key, sizeof(receipt->key));
        digest_end(x->digest, receipt->digest);
    }
    x->is_away = true;
    submit_end(x->submit, receipt);
}

/* What there is, else what follows from there being no more of it. */
static void
hand_over(struct inject *x)
{
    struct slice rest = slice_from(buf_slice(&x->gathered), x->used);

    if (x->octets.len == 0 && rest.len > 0) {
        buf_add(&x->octets, slice_first(rest, PIECE));
        x->used += x->octets.len;
    }
    if (x->octets.len > 0) {
        x->is_away = true;
        submit_piece(x->submit, &x->octets);
    } else if (x->is_whole) {
        end(x);
    } else {
        net_http_more(x->request);
    }
}

/* One that is no trace is none: it is not what the request is about. */
static void
note_trace(struct inject *x)
{
    const char *field = net_http_header(x->request, "traceparent");
    char id[MAIL_TRACE_ID_SIZE];

    if (field && mail_trace_id(slice_of(field), id))
        submit_trace(x->submit, id);
}

/* False: it has been answered. */
static bool
begin(struct inject *x)
{
    struct mail_status why = {0};

    if (!admin_inject_is_able(x, &why) || !admin_inject_may(x, &why)) {
        fail(x, &why);
        return false;
    }
    x->submit = submit_new(x->relay, &x->envelope, "http",
                           net_http_peer(x->request), turned, x);
    note_trace(x);
    return true;
}

/* --- a message out of JSON --- */

struct making {
    struct net_work_load load;
    struct buf json, message;
    char *hostname;
    char unique[UNIQUE_SIZE];
    int64_t unix_ms;
    struct mail_envelope envelope;
    bool ok, is_json;
    struct err err;
};

static void
make(struct net_work_load *load)
{
    struct making *m = own_container(load, struct making, load);
    struct admin_draft_facts facts = {
        .hostname = m->hostname, .unix_ms = m->unix_ms, .unique = m->unique};

    m->ok = admin_draft(&m->json, &facts, &m->envelope, &m->message,
                        &m->is_json, &m->err);
}

static void
free_making(struct net_work_load *load)
{
    struct making *m = own_container(load, struct making, load);

    buf_free(&m->json);
    buf_free(&m->message);
    own_free(&m->hostname);
    mail_envelope_done(&m->envelope);
    free(m);
}

static void
made(void *ctx, struct net_work_load *load)
{
    struct inject *x = ctx;
    struct making *m = own_container(load, struct making, load);

    x->is_away = false;
    if (x->is_gone) {
        give_up(x);
        return;
    }
    if (!m->ok) {
        refuse(x, m->is_json ? 422 : 400, m->err.text);
        return;
    }
    x->envelope = m->envelope;
    m->envelope = (struct mail_envelope){0};
    x->gathered = m->message;
    m->message = (struct buf){0};
    if (begin(x))
        hand_over(x);
}

static void
start_making(struct inject *x)
{
    struct making *m = mem_new(struct making);

    m->load.run = make;
    m->load.drop = free_making;
    m->json = x->gathered;
    x->gathered = (struct buf){0};
    m->hostname = mem_text(x->relay->config->hostname);
    m->unix_ms = net_clock_wall();
    for (size_t i = 0; i < UNIQUE_SIZE - 1; i++)
        m->unique[i] = "0123456789abcdefghijklmnopqrstuv"[arc4random() % 32];
    x->is_away = true;
    net_work_start(&x->work, &x->relay->loop, &m->load, made, x);
}

static void
gather(struct inject *x)
{
    size_t len = x->octets.len;

    if (x->relay->inject_octets + len > ADMIN_INJECT_JSON_ALL) {
        refuse(x, 503, "too many large requests at a time");
        return;
    }
    x->budgeted += len;
    x->relay->inject_octets += len;
    buf_add(&x->gathered, buf_slice(&x->octets));
    buf_clear(&x->octets);
    if (x->is_whole)
        start_making(x);
    else
        net_http_more(x->request);
}

/* --- the same once more --- */

static void
compare(struct inject *x)
{
    unsigned char digest[DIGEST_SIZE];
    char id[ID_TEXT_SIZE];

    digest_end(x->digest, digest);
    if (digest_same(
            (struct slice){(const char *)digest, DIGEST_SIZE},
            (struct slice){(const char *)x->receipt.digest, DIGEST_SIZE}))
        promise(x, id_text(x->earlier, id));
    else
        refuse(x, 422, "Idempotency-Key was used for another request");
}

static void
pass_over(struct inject *x)
{
    buf_clear(&x->octets);
    if (x->is_whole)
        compare(x);
    else
        net_http_more(x->request);
}

/* --- what comes --- */

/* Of JSON it is not known yet what it asks for.  False: it has been
 * answered. */
static bool
set_out(struct inject *x)
{
    struct mail_status why = {0};

    if (!x->is_json)
        return begin(x);
    if (admin_inject_is_able(x, &why))
        return true;
    fail(x, &why);
    return false;
}

static void
use(struct inject *x)
{
    x->has_piece = false;
    if (x->digest)
        digest_add(x->digest, buf_slice(&x->octets));
    if (x->earlier)
        pass_over(x);
    else if (x->is_json)
        gather(x);
    else
        hand_over(x);
}

static void
got_piece(void *ctx, struct buf *octets, bool is_last)
{
    struct inject *x = ctx;

    buf_free(&x->octets);
    x->octets = *octets;
    *octets = (struct buf){0};
    x->is_whole = is_last;
    x->has_piece = true;
    if (!x->is_away)
        use(x);
}

static void
got_lost(void *ctx)
{
    struct inject *x = ctx;

    x->is_gone = true;
    if (!x->is_away)
        give_up(x);
}

/* --- was it there before? --- */

struct look_up {
    struct store_call call;
    struct inject *inject;
    char key[QUEUE_RECEIPT_KEY_MAX + 1];
    struct queue_receipt receipt;
    uint64_t message;
};

static bool
work_look_up(struct store_call *call, struct queue_store *store,
             struct err *err)
{
    struct look_up *l = own_container(call, struct look_up, call);

    return queue_store_receipt_find(store, l->key, net_clock_steady(),
                                    &l->message, &l->receipt, err);
}

static void
answer_look_up(struct inject *x, const struct look_up *l)
{
    bool is_known = !l->call.failed;

    x->is_away = false;
    if (x->is_gone) {
        give_up(x);
        return;
    }
    if (!is_known && l->call.err.kind != ERR_MISSING) {
        refuse(x, 503, "the queue can't be read now");
        return;
    }
    if (is_known) {
        x->earlier = l->message;
        x->receipt = l->receipt;
    } else if (!set_out(x)) {
        return;
    }
    if (x->has_piece)
        use(x);
}

static void
looked_up(struct task *task)
{
    struct look_up *l = own_container(task, struct look_up, call.task);

    answer_look_up(l->inject, l);
    free(l);
}

static void
look_up(struct inject *x)
{
    struct look_up *l = mem_new(struct look_up);

    l->inject = x;
    memcpy(l->key, x->key, sizeof(l->key));
    l->call.work = work_look_up;
    l->call.task.run = looked_up;
    l->call.home = &x->relay->inbox;
    x->is_away = true;
    store_thread_post(x->relay->store, &l->call);
}

/* --- its beginning --- */

static bool
is_under_way(const struct inject *x)
{
    for (const struct inject *y = x->relay->injects; y; y = y->next)
        if (y != x && strcmp(y->key, x->key) == 0)
            return true;
    return false;
}

static void
link_it(struct inject *x)
{
    x->next = x->relay->injects;
    x->at = &x->relay->injects;
    if (x->next)
        x->next->at = &x->next;
    x->relay->injects = x;
}

void
admin_inject(struct relay *relay, struct net_http_request *r, const char *name)
{
    static const struct net_http_sink sink = {got_piece, got_lost};
    struct inject *x = mem_new(struct inject);
    struct err err;
    int status;

    (void)name;
    x->relay = relay;
    x->request = r;
    link_it(x);
    status = admin_inject_head(x, &err);
    if (status) {
        refuse(x, status, err.text);
        return;
    }
    if (x->key[0] && is_under_way(x)) {
        refuse(x, 409, "a request with this Idempotency-Key is under way");
        return;
    }
    if (!x->key[0] && !set_out(x))
        return;
    net_http_receive(r, x->size_max, &sink, x);
    if (x->key[0])
        look_up(x);
}

void
admin_inject_nothing(struct relay *relay, struct net_http_request *r,
                     const char *name)
{
    (void)relay, (void)name;
    admin_answer_error(r, 422, "the request has no body");
}
