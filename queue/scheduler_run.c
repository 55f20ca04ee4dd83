#include "queue/scheduler_inside.h"

#include "relay/base/mem.h"

#include <stdlib.h>

static void
drop_message(struct queue_scheduler *s, struct queue_message *m)
{
    if (m->jobs > 0)
        return;
    s->bodies -= m->body.len;
    queue_message_free(&m);
}

static void
drop_job(struct queue_scheduler *s, struct queue_job *job)
{
    s->jobs--;
    job->message->jobs--;
    drop_message(s, job->message);
    free(job->rcpt);
    free(job);
}

static void
give_back(struct queue_scheduler *s, const struct queue_job *job)
{
    struct queue_release *r = mem_new(struct queue_release);

    r->id = job->message->id;
    r->numbers = mem_array(uint32_t, job->rcpt_count);
    r->count = job->rcpt_count;
    for (size_t i = 0; i < job->rcpt_count; i++)
        r->numbers[i] = job->message->rcpt[job->rcpt[i]].number;
    TAILQ_INSERT_TAIL(&s->releases, r, link);
}

static void
take_back(struct queue_scheduler *s, struct queue_destination *d,
          struct queue_job *job)
{
    TAILQ_REMOVE(&d->run, job, link);
    d->waiting--;
    d->more = true;
    give_back(s, job);
    drop_job(s, job);
}

void
queue_scheduler_empty_run(struct queue_scheduler *s,
                          struct queue_destination *d)
{
    while (!TAILQ_EMPTY(&d->run))
        take_back(s, d, TAILQ_FIRST(&d->run));
}

void
queue_scheduler_make_room(struct queue_scheduler *s)
{
    struct queue_destination *d, *next;
    size_t count = 1, share;

    HASH_ITER(hh, s->by_name, d, next)
    count += d->waiting > 0;
    share = QUEUE_JOBS_MAX / 4 / count + 1;
    HASH_ITER(hh, s->by_name, d, next)
    {
        while (d->waiting > share)
            take_back(s, d, TAILQ_LAST(&d->run, queue_job_list));
        queue_scheduler_consider(s, d);
    }
}

/* The job of this message that is last in the run, when it has room. */
static struct queue_job *
open_job(const struct queue_destination *d, const struct queue_message *m)
{
    struct queue_job *job = TAILQ_LAST(&d->run, queue_job_list);

    return job && job->message == m && job->rcpt_count < QUEUE_JOB_RCPT_MAX
               ? job
               : NULL;
}

static struct queue_job *
new_job(struct queue_scheduler *s, struct queue_destination *d,
        struct queue_message *m)
{
    struct queue_job *job = mem_new(struct queue_job);

    job->message = m;
    m->jobs++;
    s->jobs++;
    TAILQ_INSERT_TAIL(&d->run, job, link);
    d->waiting++;
    return job;
}

static void
add_rcpt(struct queue_scheduler *s, struct queue_message *m, size_t i)
{
    struct queue_destination *d =
        queue_scheduler_get(s, m->rcpt[i].destination);
    struct queue_job *job = open_job(d, m);

    if (!job)
        job = new_job(s, d, m);
    job->rcpt = mem_resized(job->rcpt, job->rcpt_count + 1, sizeof(size_t));
    job->rcpt[job->rcpt_count++] = i;
}

static bool
is_full(const struct queue_scheduler *s, const struct queue_destination *d)
{
    return d->home == QUEUE_HOME_BLOCKED || d->waiting > QUEUE_RUN_MAX ||
           s->jobs > QUEUE_JOBS_MAX;
}

/* Jobs of this message that there is no room for go back to the store. */
static void
settle_in(struct queue_scheduler *s, struct queue_message *m,
          const char *destination)
{
    struct queue_destination *d = queue_scheduler_get(s, destination);
    struct queue_job *job = TAILQ_LAST(&d->run, queue_job_list);

    while (is_full(s, d) && job && job->message == m) {
        struct queue_job *before = TAILQ_PREV(job, queue_job_list, link);

        take_back(s, d, job);
        job = before;
    }
    queue_scheduler_consider(s, d);
}

void
queue_scheduler_add(struct queue_scheduler *s, struct queue_message *m)
{
    m->jobs = 1; /* ours, while we look through it */
    s->bodies += m->body.len;
    if (s->bodies > QUEUE_BODIES_MAX) {
        s->bodies -= m->body.len;
        buf_free(&m->body);
    }
    for (size_t i = 0; i < m->envelope.rcpt_count; i++)
        add_rcpt(s, m, i);
    for (size_t i = 0; i < m->envelope.rcpt_count; i++)
        settle_in(s, m, m->rcpt[i].destination);
    m->jobs--;
    drop_message(s, m);
}

void
queue_scheduler_put_back(struct queue_scheduler *s, const char *destination,
                         struct queue_job *job)
{
    struct queue_destination *d = queue_scheduler_get(s, destination);

    TAILQ_INSERT_HEAD(&d->run, job, link);
    d->waiting++;
    if (d->home == QUEUE_HOME_BLOCKED)
        queue_scheduler_empty_run(s, d);
    else
        queue_scheduler_consider(s, d);
}

void
queue_scheduler_job_done(struct queue_scheduler *s, struct queue_job *job)
{
    drop_job(s, job);
}
