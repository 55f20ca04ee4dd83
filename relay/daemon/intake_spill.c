#include "relay/base/mem.h"
#include "relay/daemon/intake_inside.h"
#include "relay/daemon/receive.h"

#include <stdlib.h>

struct spill_call {
    struct store_call call;
    struct intake *intake;
    uint64_t id;
    unsigned sequence;
    struct buf octets;
};

static bool
work_unspill(struct store_call *call, struct queue_store *store,
             struct err *err)
{
    struct spill_call *x = own_container(call, struct spill_call, call);

    return queue_store_unspill(store, x->id, err);
}

static void
free_spill(struct task *task)
{
    struct spill_call *x = own_container(task, struct spill_call, call.task);

    buf_free(&x->octets);
    free(x);
}

/* Whether or not this succeeds: what it leaves is dropped at the next start. */
void
intake_unspill(struct intake *in)
{
    struct spill_call *x;

    if (in->worker->is_cut)
        return;
    x = mem_new(struct spill_call);
    x->call.work = work_unspill;
    x->call.task.run = free_spill;
    x->id = in->message->id;
    store_thread_post(in->worker->relay->store, &x->call);
}

void
intake_end_abandoned(struct intake *in)
{
    if (in->under_way > 0)
        return;
    if (in->spilled > 0)
        intake_unspill(in);
    intake_destroy(in);
}

static bool
work_spill(struct store_call *call, struct queue_store *store, struct err *err)
{
    struct spill_call *x = own_container(call, struct spill_call, call);

    return queue_store_spill(store, x->id, x->sequence, buf_slice(&x->octets),
                             err);
}

static void
spill_done(struct task *task)
{
    struct spill_call *x = own_container(task, struct spill_call, call.task);
    struct intake *in = x->intake;
    void (*room)(void *ctx) = in->room;

    in->under_way--;
    if (x->call.failed && !in->spill_failed) {
        in->spill_failed = true;
        in->err = x->call.err;
    }
    free_spill(task);
    if (in->ended)
        return; /* what was posted behind it goes on */
    if (in->abandoned) {
        intake_end_abandoned(in);
    } else if (room && intake_has_space(in)) {
        in->room = NULL;
        room(in->room_ctx);
    }
}

struct slice
intake_rest(const struct intake *in)
{
    if (in->front_len == 0)
        return (struct slice){0};
    return slice_from(buf_slice(&in->message->body), in->front_len + in->kept);
}

/* The large buffer goes, too. */
static void
let_go(struct intake *in)
{
    struct buf small = {0};

    buf_add(&small, slice_first(buf_slice(&in->message->body), in->front_len));
    buf_add(&small, intake_rest(in));
    buf_free(&in->message->body);
    in->message->body = small;
    in->worker->kept -= in->kept;
    in->kept = 0;
    in->has_let_go = true;
}

static void
drop_behind_front(struct intake *in, size_t len)
{
    struct buf *body = &in->message->body;
    char *at = body->p + in->front_len;

    memmove(at, at + len, body->len - in->front_len - len);
    body->len -= len;
}

/* The next `len` octets have been spilled. */
static void
keep_or_drop(struct intake *in, size_t len)
{
    if (in->has_let_go) {
        drop_behind_front(in, len);
        return;
    }
    in->kept += len;
    in->worker->kept += len;
    if (in->kept > INTAKE_KEEP_MAX || in->worker->kept > INTAKE_KEPT_MAX)
        let_go(in);
}

static void
post_piece(struct intake *in, unsigned sequence, struct slice octets)
{
    struct spill_call *x = mem_new(struct spill_call);

    x->call.grows = true;
    x->call.work = work_spill;
    x->call.task.run = spill_done;
    x->call.home = &in->worker->inbox;
    x->intake = in;
    x->id = in->message->id;
    x->sequence = sequence;
    buf_add(&x->octets, octets);
    in->under_way++;
    /* Its commit is waited for only when no more may be on the way. */
    x->call.is_patient = intake_has_space(in);
    store_thread_post(in->worker->relay->store, &x->call);
}

/* Piece 0 is the front. */
void
intake_spill(struct intake *in, size_t len)
{
    in->message->size += len;
    post_piece(in, ++in->spilled, slice_first(intake_rest(in), len));
    keep_or_drop(in, len);
}

void
intake_spill_front(struct intake *in)
{
    post_piece(in, 0,
               slice_first(buf_slice(&in->message->body), in->front_len));
}
