#include "relay/daemon/store_thread.h"

#include "relay/base/mem.h"
#include "relay/net/timer.h"
#include "relay/watch/metrics.h"
#include "relay/watch/pulse.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>

struct store_thread {
    pthread_t thread;
    struct mailbox box;
    struct queue_store *store;
    struct log *log;
    struct metric_set *metrics;
    store_health_fn *health;
    void *ctx;
    bool in_trouble;
    struct err room; /* why there is none */
    _Atomic bool has_room;
    int64_t probe_at_ms;
    struct pulse pulse;
    _Atomic uint64_t commits;
};

static void
set_trouble(struct store_thread *t, const struct err *why)
{
    struct log_line line;

    if (why)
        t->probe_at_ms = net_clock_steady() + STORE_PROBE_MS;
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

static void
set_room(struct store_thread *t, const struct err *why)
{
    struct log_line line;

    if (why) {
        t->room = *why;
        t->probe_at_ms = net_clock_steady() + STORE_PROBE_MS;
    }
    if (atomic_load(&t->has_room) == (why == NULL))
        return;
    atomic_store(&t->has_room, why == NULL);
    log_begin(&line, t->log, why ? LOG_LEVEL_ERROR : LOG_LEVEL_WARNING,
              "store.room");
    log_bool(&line, "takes_mail", !why);
    log_text(&line, "reason", why ? why->text : NULL);
    log_end(&line);
}

static void
count_error(struct store_thread *t, const struct err *err)
{
    metrics_count(t->metrics, METRICS_STORE_ERRORS,
                  err->kind == ERR_SPACE ? "space" : "other");
}

/* False: the transaction has failed, not only the call. */
static bool
run_call(struct store_thread *t, struct store_call *call)
{
    struct err err = t->room;

    call->failed = call->grows && !atomic_load(&t->has_room);
    if (call->failed) {
        call->err = err;
        return true;
    }
    err = (struct err){0};
    if (call->work(call, t->store, &err))
        return true;
    call->failed = true;
    call->err = err;
    return err.kind == ERR_MISSING || err.kind == ERR_INPUT ||
           err.kind == ERR_LIMIT;
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

static bool
is_alone(const struct mailbox_letter *l)
{
    return own_container(l, struct store_call, task.letter)->is_alone;
}

/* The letter behind the last one of a batch, `stop` at the latest. */
static struct mailbox_letter *
batch_end(struct mailbox_letter *first, const struct mailbox_letter *stop)
{
    if (is_alone(first))
        return first->next;
    for (size_t n = 0; first != stop && n < STORE_BATCH_MAX && !is_alone(first);
         n++)
        first = first->next;
    return first;
}

static void
work_alone(struct store_thread *t, struct mailbox_letter *l)
{
    const struct mailbox_letter *end = l->next;

    (void)run_call(t, own_container(l, struct store_call, task.letter));
    send_home(l, end);
}

static void
mind_room(struct store_thread *t)
{
    struct err err;

    if (atomic_load(&t->has_room) && !queue_store_has_room(t->store, &err))
        set_room(t, &err);
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

static bool
commit(struct store_thread *t, struct err *err)
{
    bool has_changed = queue_store_has_changed(t->store);
    int64_t began_us = net_clock_us();

    if (!queue_store_commit(t->store, err))
        return false;
    if (has_changed)
        metric_observe_us(t->metrics, METRICS_COMMIT, NULL,
                          net_clock_us() - began_us);
    return true;
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
    if (!commit(t, err))
        return false;
    atomic_fetch_add_explicit(&t->commits, 1, memory_order_relaxed);
    return true;
}

/* After a failed transaction: each call alone.  False: one of those failed
 * that must be able to do their work even on a full disk; *err is why. */
static bool
transact_each(struct store_thread *t, struct mailbox_letter *first,
              const struct mailbox_letter *end, struct err *err)
{
    bool ok = true;

    for (; first != end; first = first->next) {
        bool grows =
            own_container(first, struct store_call, task.letter)->grows;

        if (transact(t, first, first->next, err))
            continue;
        fail_all(first, first->next, err);
        if (err->kind == ERR_SPACE && grows) {
            set_room(t, err);
            continue;
        }
        ok = false;
        if (err->kind == ERR_SPACE) { /* the others would fare no better */
            fail_all(first, end, err);
            break;
        }
    }
    return ok;
}

static void
work_batch(struct store_thread *t, struct mailbox_letter *first,
           struct mailbox_letter *end)
{
    struct err err = {0};

    mind_room(t);
    if (!transact(t, first, end, &err)) {
        count_error(t, &err);
        if (err.kind == ERR_SPACE)
            set_room(t, &err);
        else
            set_trouble(t, &err);
        if (!transact_each(t, first, end, &err))
            set_trouble(t, &err);
    }
    send_home(first, end);
}
#endif

static void
checkpoint(struct store_thread *t, bool force, struct err *err)
{
    struct log_line line;

    if (queue_store_checkpoint(t->store, force, err))
        return;
    count_error(t, err);
    if (err->kind == ERR_SPACE) {
        set_room(t, err);
        return;
    }
    log_begin(&line, t->log, LOG_LEVEL_ERROR, "store.checkpoint");
    log_text(&line, "reason", err->text);
    log_end(&line);
    set_trouble(t, err);
}

static bool
can_write(struct store_thread *t, struct err *err)
{
    if (!queue_store_begin(t->store, err))
        return false;
    if (queue_store_probe(t->store, err))
        return queue_store_commit(t->store, err);
    queue_store_rollback(t->store);
    return false;
}

/* Only this ends trouble: a transaction that only read proves nothing. */
static void
probe(struct store_thread *t)
{
    struct err err = {0};

    if (net_clock_steady() < t->probe_at_ms)
        return;
    t->probe_at_ms = net_clock_steady() + STORE_PROBE_MS;
    if (t->in_trouble && can_write(t, &err))
        set_trouble(t, NULL);
    if (!t->in_trouble && !atomic_load(&t->has_room)) {
        err.kind = ERR_NONE;
        checkpoint(t, true, &err);
        if (err.kind == ERR_NONE && queue_store_has_room(t->store, &err))
            set_room(t, NULL);
    }
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
    struct err err;
    bool over = false;

    while (!over) {
        struct mailbox_letter *l = mailbox_wait(&t->box, STORE_PROBE_MS);
        struct mailbox_letter *stop = l;

        pulse_beat(&t->pulse);
        while (stop && !is_stop(stop))
            stop = stop->next;
        over = stop != NULL;
        while (l != stop) {
            struct mailbox_letter *end = batch_end(l, stop);

            pulse_beat(&t->pulse);
            if (is_alone(l))
                work_alone(t, l);
            else
                work_batch(t, l, end);
            checkpoint(t, false, &err);
            l = end;
        }
        if (!over && (t->in_trouble || !atomic_load(&t->has_room)))
            probe(t);
    }
    return NULL;
}

struct store_thread *
store_thread_start(struct queue_store **store, struct log *log,
                   struct metric_set *metrics, store_health_fn *health,
                   void *ctx)
{
    struct store_thread *t = mem_new(struct store_thread);

    t->store = take(store);
    t->log = log;
    t->metrics = metrics;
    t->health = health;
    t->ctx = ctx;
    atomic_store(&t->has_room, true);
    mind_room(t);
    mailbox_init(&t->box, NULL, NULL);
    pulse_beat(&t->pulse);
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

void
store_thread_beat(struct store_thread *t)
{
    if (t)
        pulse_beat(&t->pulse);
}

int64_t
store_thread_age_ms(const struct store_thread *t)
{
    return pulse_age_ms(&t->pulse);
}

uint64_t
store_thread_commits(const struct store_thread *t)
{
    return atomic_load_explicit(&t->commits, memory_order_relaxed);
}

bool
store_thread_has_room(const struct store_thread *t)
{
    return atomic_load(&t->has_room);
}
