#include "relay/daemon/deliver_inside.h"

#include "relay/base/mem.h"

#include <stdlib.h>

struct body_call {
    struct store_call call;
    struct deliver *deliver; /* NULL: it no longer wants it */
    uint64_t id;
    unsigned sequence;
    struct buf piece;
};

/* The server may have its last word while the body is still on its way. */
void
deliver_stop_body(struct deliver *d)
{
    if (d->body)
        d->body->deliver = NULL;
    d->body = NULL;
    d->waits_to_send = false;
    d->is_looking = false;
    mail_downgrade_free(&d->convert);
}

static void
lose(struct deliver *d, const char *why)
{
    struct mail_status status = {0};

    mail_status_set(&status, 451, "4.3.0", "%s", why);
    deliver_fail_here(d, &status, "body");
    deliver_hang_up(d,
                    false); /* without its end the message counts for nothing */
    report_decide_rest(d->report, &status);
    deliver_send_report(d, REPORT_REACHED);
    deliver_next_job(d);
}

static bool
work_body(struct store_call *call, struct queue_store *store, struct err *err)
{
    struct body_call *x = own_container(call, struct body_call, call);

    buf_clear(&x->piece);
    return queue_store_read(store, x->id, x->sequence, &x->piece, err);
}

static void
send_piece(struct deliver *d, const struct body_call *x)
{
    uint64_t size = deliver_job(d)->message->size;

    if (x->call.failed) {
        lose(d, "the message's body can't be read from the queue");
        return;
    }
    d->body_sent += x->piece.len;
    if (d->is_looking) {
        deliver_look_at(d, buf_slice(&x->piece), d->body_sent >= size);
        return;
    }
    deliver_put_body(d, buf_slice(&x->piece), d->body_sent >= size);
    deliver_pump(d);
    if (d->body_sent >= size || d->want != WANT_NOTHING)
        return;
    if (net_conn_is_full(d->conn))
        d->waits_to_send = true;
    else
        deliver_read_body(d);
}

static void
body_read(struct task *task)
{
    struct body_call *x = own_container(task, struct body_call, call.task);
    struct deliver *d = x->deliver;

    if (d) {
        d->body = NULL;
        send_piece(d, x);
    }
    buf_free(&x->piece);
    free(x);
    if (d)
        deliver_settle(d);
}

void
deliver_read_body(struct deliver *d)
{
    struct body_call *x = mem_new(struct body_call);

    x->call.work = work_body;
    x->call.task.run = body_read;
    x->call.home = &d->worker->inbox;
    x->deliver = d;
    x->id = deliver_job(d)->message->id;
    x->sequence = d->sequence++;
    d->body = x;
    store_thread_post(d->worker->relay->store, &x->call);
}

void
deliver_read_from_start(struct deliver *d)
{
    d->sequence = 0;
    d->body_sent = 0;
    deliver_read_body(d);
}

void
deliver_send_body(struct deliver *d)
{
    const struct queue_message *m = deliver_job(d)->message;

    if (m->body.len > 0)
        deliver_put_body(d, buf_slice(&m->body), true);
    else
        deliver_read_from_start(d);
}
