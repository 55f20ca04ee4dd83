#include "relay/daemon/store_thread.h"

#include "relay/base/mem.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>

struct store_thread {
    pthread_t thread;
    struct mailbox box;
    struct queue_store *store;
    struct log *log;
    store_health_fn *health;
    void *ctx;
    bool in_trouble;
    _Atomic uint64_t commits;
};

static void
set_trouble(struct store_thread *t, const struct err *why)
{
    struct log_line line;

    if (t->in_trouble == (why != NULL))
        return;
    t->in_trouble = why != NULL;
    log_begin(&line, t->log, why ? LOG_LEVEL_ERROR : LOG_LEVEL_WARNING,
              "store.health");
    log_bool(&line, "healthy", !why);
    log_text(&line, "reason", why ? why->text : NULL);
    log_end(&line);
    t->health(t->ctx, why);
}

static bool
run_call(struct store_thread *t, struct store_call *call)
{
    struct err err = {0};

    call->failed = false;
    if (call->work(call, t->store, &err))
        return true;
    call->failed = true;
    call->err = err;
    return err.kind == ERR_MISSING || err.kind == ERR_INPUT;
}

static void
fail_all(struct mailbox_letter *first, const struct mailbox_letter *end,
         const struct err *err)
{
    for (; first != end; first = first->next) {
        struct store_call *call =
            own_container(first, struct store_call, task.letter);

        call->failed = true;
        call->err = *err;
    }
}

/* Runs the calls from `first` to before `end` as one transaction. */
static bool
transact(struct store_thread *t, struct mailbox_letter *first,
         const struct mailbox_letter *end, struct err *err)
{
    if (!queue_store_begin(t->store, err))
        return false;
    for (struct mailbox_letter *l = first; l != end; l = l->next) {
        struct store_call *call =
            own_container(l, struct store_call, task.letter);

        if (!run_call(t, call)) {
            *err = call->err;
            queue_store_rollback(t->store);
            return false;
        }
    }
    if (!queue_store_commit(t->store, err))
        return false;
    atomic_fetch_add_explicit(&t->commits, 1, memory_order_relaxed);
    return true;
}

/* After a failed transaction: each call alone, unless it is the disk that
 * would fail them all. */
static void
transact_each(struct store_thread *t, struct mailbox_letter *first,
              const struct mailbox_letter *end, struct err *err)
{
    for (; first != end; first = first->next) {
        if (err->kind == ERR_SPACE) {
            fail_all(first, end, err);
            return;
        }
        if (!transact(t, first, first->next, err))
            fail_all(first, first->next, err);
    }
}

static void
send_home(struct mailbox_letter *first, const struct mailbox_letter *end)
{
    while (first != end) {
        struct store_call *call =
            own_container(first, struct store_call, task.letter);

        first = first->next;
        if (call->home)
            task_post(call->home, &call->task);
        else
            call->task.run(&call->task);
    }
}

/* The letter behind the last one of a batch, `stop` at the latest. */
static struct mailbox_letter *
batch_end(struct mailbox_letter *first, const struct mailbox_letter *stop)
{
    for (size_t n = 0; first != stop && n < STORE_BATCH_MAX; n++)
        first = first->next;
    return first;
}

#ifdef SEALPOST_EARLY_ANSWER
/* The negative control of the crash test: what would be lost if answers did
 * not wait for the commit.  Never part of a product. */
static void
work_batch(struct store_thread *t, struct mailbox_letter *first,
           struct mailbox_letter *end)
{
    struct err err = {0};
    struct timespec nap = {.tv_nsec = 20 * 1000 * 1000};

    if (!queue_store_begin(t->store, &err))
        abort();
    for (struct mailbox_letter *l = first; l != end; l = l->next)
        (void)run_call(t, own_container(l, struct store_call, task.letter));
    send_home(first, end);
    (void)nanosleep(&nap, NULL);
    if (!queue_store_commit(t->store, &err))
        abort();
}
#else
static void
work_batch(struct store_thread *t, struct mailbox_letter *first,
           struct mailbox_letter *end)
{
    struct err err = {0};

    if (transact(t, first, end, &err)) {
        set_trouble(t, NULL);
    } else {
        struct err each = err;

        transact_each(t, first, end, &each);
        if (err.kind != ERR_INPUT)
            set_trouble(t, &err);
    }
    send_home(first, end);
}
#endif

static void
probe(struct store_thread *t)
{
    struct err err = {0};

    if (!queue_store_begin(t->store, &err))
        return;
    if (!queue_store_probe(t->store, &err)) {
        queue_store_rollback(t->store);
        return;
    }
    if (queue_store_commit(t->store, &err))
        set_trouble(t, NULL);
}

static void
checkpoint(struct store_thread *t)
{
    struct err err = {0};
    struct log_line line;

    if (queue_store_checkpoint(t->store, false, &err))
        return;
    log_begin(&line, t->log, LOG_LEVEL_ERROR, "store.checkpoint");
    log_text(&line, "reason", err.text);
    log_end(&line);
    set_trouble(t, &err);
}

/* A letter without work ends the thread. */
static bool
is_stop(const struct mailbox_letter *l)
{
    return own_container(l, struct store_call, task.letter)->work == NULL;
}

static void *
run(void *arg)
{
    struct store_thread *t = arg;
    bool over = false;

    while (!over) {
        struct mailbox_letter *l = mailbox_wait(&t->box, STORE_PROBE_MS);
        struct mailbox_letter *stop = l;

        while (stop && !is_stop(stop))
            stop = stop->next;
        over = stop != NULL;
        while (l != stop) {
            struct mailbox_letter *end = batch_end(l, stop);

            work_batch(t, l, end);
            checkpoint(t);
            l = end;
        }
        if (t->in_trouble && !over)
            probe(t);
    }
    return NULL;
}

struct store_thread *
store_thread_start(struct queue_store **store, struct log *log,
                   store_health_fn *health, void *ctx)
{
    struct store_thread *t = mem_new(struct store_thread);

    t->store = take(store);
    t->log = log;
    t->health = health;
    t->ctx = ctx;
    mailbox_init(&t->box, NULL, NULL);
    if (pthread_create(&t->thread, NULL, run, t) != 0)
        abort();
    return t;
}

void
store_thread_post(struct store_thread *t, struct store_call *call)
{
    assert(call->work);
    if (call->is_patient)
        mailbox_put_patient(&t->box, &call->task.letter);
    else
        mailbox_put(&t->box, &call->task.letter);
}

void
store_thread_stop(struct store_thread **place)
{
    struct store_thread *t = take(place);
    struct store_call stop = {0};

    if (!t)
        return;
    mailbox_put(&t->box, &stop.task.letter);
    (void)pthread_join(t->thread, NULL);
    mailbox_done(&t->box);
    queue_store_close(&t->store);
    free(t);
}

uint64_t
store_thread_commits(const struct store_thread *t)
{
    return atomic_load_explicit(&t->commits, memory_order_relaxed);
}
