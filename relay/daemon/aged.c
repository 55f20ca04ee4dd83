#include "relay/daemon/aged.h"

#include "relay/base/mem.h"
#include "relay/daemon/outcome.h"
#include "relay/daemon/release.h"
#include "relay/net/timer.h"

#include <stdlib.h>

struct aged {
    struct relay *relay;
    struct queue_scheduler *scheduler;
    struct net_timer *timer;
    uint64_t warned; /* messages up to this one were looked at for a warning */
    unsigned under_way;
};

/* One stretch of old messages, from the store and then looked through. */
struct stretch {
    struct store_call call;
    struct aged *aged;
    bool is_warning;
    uint64_t before; /* messages older than this one */
    uint64_t first;  /* and younger than that */
    uint64_t last;   /* looked at so far */
    struct queue_message *messages[AGED_CLAIM];
    size_t count;
};

struct give_back {
    struct aged *aged;
    int64_t next_ms; /* the earliest of their attempts */
};

static void
post(struct aged *a, struct store_call *call,
     bool (*work)(struct store_call *, struct queue_store *, struct err *),
     void (*done)(struct task *))
{
    call->work = work;
    call->task.run = done;
    call->home = &a->relay->inbox;
    a->under_way++;
    store_thread_post(a->relay->store, call);
}

/* --- giving back --- */

static void
given_back(void *ctx)
{
    struct give_back *x = ctx;

    x->aged->under_way--;
    /* While they were claimed, a look for due work passed them over. */
    queue_scheduler_later(x->aged->scheduler, x->next_ms);
    free(x);
}

/* The recipients that the job names, or those that it leaves out. */
static void
give_back(struct aged *a, const struct queue_job *job, bool named)
{
    const struct queue_message *m = job->message;
    struct give_back *x = mem_new(struct give_back);
    uint32_t *numbers = mem_array(uint32_t, m->envelope.rcpt_count);
    size_t count = 0, next = 0; /* the job names them in order */

    x->aged = a;
    x->next_ms = INT64_MAX;
    for (size_t i = 0; i < m->envelope.rcpt_count; i++) {
        bool is_named = next < job->rcpt_count && job->rcpt[next] == i;

        next += is_named;
        if (is_named != named)
            continue;
        numbers[count++] = m->rcpt[i].number;
        if (m->rcpt[i].next_ms < x->next_ms)
            x->next_ms = m->rcpt[i].next_ms;
    }
    a->under_way++;
    release_start(a->relay, m->id, numbers, count, given_back, x);
}

/* --- one message --- */

static void
drop(struct queue_job *job)
{
    queue_message_free(&job->message);
    free(job->rcpt);
    free(job);
}

static void
outcome_done(void *ctx, struct outcome *o, bool failed)
{
    struct aged *a = ctx;
    struct queue_job *job = outcome_job(o);

    a->under_way--;
    if (failed) /* it is looked at again in the next round */
        give_back(a, job, true);
    else
        queue_scheduler_later(a->scheduler, outcome_has_notices(o)
                                                ? net_clock_steady()
                                                : outcome_next_ms(o));
    outcome_free(&o);
    drop(job);
}

/* Those recipients whose destination can't be reached; the others have their
 * own attempts. */
static struct queue_job *
unreached(const struct aged *a, struct queue_message *m, struct report **report)
{
    struct queue_job *job = mem_new(struct queue_job);
    struct mail_status status = {0};
    unsigned failures = UINT32_MAX;
    const char *why = NULL;

    job->message = m;
    job->rcpt = mem_array(size_t, m->envelope.rcpt_count);
    for (size_t i = 0; i < m->envelope.rcpt_count; i++) {
        unsigned n = queue_scheduler_failures(a->scheduler,
                                              m->rcpt[i].destination, &why);

        if (n == 0)
            continue;
        job->rcpt[job->rcpt_count++] = i;
        failures = n < failures ? n : failures;
    }
    mail_status_set(&status, 451, "4.4.1", "not tried, as another message: %s",
                    why ? why : "the destination could not be reached");
    *report = report_new(NULL, job);
    (*report)->is_aged = true;
    (*report)->failures = failures;
    for (size_t i = 0; i < job->rcpt_count; i++)
        (*report)->rcpt[i].is_held = queue_scheduler_is_held(
            a->scheduler, m->rcpt[job->rcpt[i]].destination);
    report_decide_rest(*report, &status);
    return job;
}

static void
look_at(struct aged *a, struct queue_message *m)
{
    struct report *report;
    struct queue_job *job = unreached(a, m, &report);

    give_back(a, job, false);
    if (job->rcpt_count > 0 && !outcome_is_void(a->relay, report)) {
        a->under_way++;
        (void)outcome_start(a->relay, report, outcome_done, a);
        return;
    }
    give_back(a, job, true);
    report_free(&report);
    drop(job);
}

/* --- all of them --- */

static bool
work_claim(struct store_call *call, struct queue_store *store, struct err *err)
{
    struct stretch *x = own_container(call, struct stretch, call);

    while (x->count > 0)
        queue_message_free(&x->messages[--x->count]);
    x->last = x->first;
    return queue_store_claim_aged(store, x->before, AGED_CLAIM, &x->last,
                                  x->messages, &x->count, err);
}

static void
claimed(struct task *task)
{
    struct stretch *x = own_container(task, struct stretch, call.task);
    struct aged *a = x->aged;
    bool more = !x->call.failed && x->last > x->first &&
                !atomic_load(&a->relay->is_draining);

    a->under_way--;
    for (size_t i = 0; i < x->count; i++) {
        if (x->call.failed)
            queue_message_free(&x->messages[i]);
        else
            look_at(a, x->messages[i]);
    }
    x->count = 0;
    if (!x->call.failed && x->is_warning)
        a->warned = x->last;
    x->first = x->last;
    if (more)
        post(a, &x->call, work_claim, claimed);
    else
        free(x);
}

static void
look_through(struct aged *a, int64_t age_ms, bool is_warning)
{
    struct stretch *x = mem_new(struct stretch);

    x->aged = a;
    x->is_warning = is_warning;
    x->before = id_at(net_clock_steady() - age_ms);
    x->first = is_warning ? a->warned : 0;
    post(a, &x->call, work_claim, claimed);
}

static int64_t
interval(const struct queue_schedule *schedule)
{
    int64_t ms = schedule->expire_ms / 10;

    if (schedule->warn_ms > 0 && schedule->warn_ms / 10 < ms)
        ms = schedule->warn_ms / 10;
    if (ms < AGED_LEAST_MS)
        ms = AGED_LEAST_MS;
    return ms < AGED_MS ? ms : AGED_MS;
}

static void
tick(void *ctx)
{
    struct aged *a = ctx;
    const struct queue_schedule *schedule = &a->relay->config->retry;

    net_timer_set(a->timer, (uint64_t)interval(schedule));
    if (a->under_way > 0 || atomic_load(&a->relay->is_draining))
        return; /* the last round takes its time */
    look_through(a, schedule->expire_ms, false);
    if (schedule->warn_ms > 0)
        look_through(a, schedule->warn_ms, true);
}

bool
aged_is_idle(const struct aged *a)
{
    return a->under_way == 0;
}

struct aged *
aged_new(struct relay *relay, struct queue_scheduler *scheduler)
{
    struct aged *a = mem_new(struct aged);

    a->relay = relay;
    a->scheduler = scheduler;
    a->timer = net_timer_new(&relay->loop, tick, a);
    net_timer_set(a->timer, (uint64_t)interval(&relay->config->retry));
    return a;
}

void
aged_free(struct aged **place)
{
    struct aged *a = take(place);

    if (!a)
        return;
    net_timer_free(&a->timer);
    free(a);
}
