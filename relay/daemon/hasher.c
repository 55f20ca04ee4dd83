#include "relay/daemon/hasher.h"

#include "relay/config/users.h"

#include "relay/base/mem.h"
#include "relay/base/secret.h"
#include "relay/net/work.h"

#include <crypt.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/queue.h>

struct hasher_job {
    struct net_work_load load;
    struct task task;
    TAILQ_ENTRY(hasher_job) link;
    struct hasher *hasher;
    struct worker *worker;
    struct hasher_job **slot; /* NULL: cancelled */
    hasher_fn *done;
    void *ctx;
    struct net_work *work; /* NULL: it waits, or a place is on its way to it */
    bool is_waiting;       /* under the hasher's lock */
    char *password, *hash;
    bool is_long; /* the password was cut */
    bool is_match;
};

/* A place is handed on from job to job: one that ends sends the next one in the
 * row a letter, as only its own worker may begin it. */
struct hasher {
    pthread_mutex_t lock;
    unsigned busy; /* places taken */
    unsigned waiting;
    TAILQ_HEAD(, hasher_job) row;
};

struct hasher *
hasher_new(void)
{
    struct hasher *h = mem_new(struct hasher);

    pthread_mutex_init(&h->lock, NULL);
    TAILQ_INIT(&h->row);
    return h;
}

void
hasher_free(struct hasher **place)
{
    struct hasher *h = take(place);

    if (!h)
        return;
    pthread_mutex_destroy(&h->lock);
    free(h);
}

static void
free_job(struct hasher_job *job)
{
    secret_text_free(&job->password);
    secret_text_free(&job->hash);
    free(job);
}

/* The letter goes out under the lock: so a job that is no longer in the row has
 * its letter, and its worker, which ends behind its jobs, reads it. */
static void
hand_on(struct hasher *h)
{
    struct hasher_job *next;

    pthread_mutex_lock(&h->lock);
    next = TAILQ_FIRST(&h->row);
    if (next) {
        TAILQ_REMOVE(&h->row, next, link);
        next->is_waiting = false;
        h->waiting--;
        worker_post(next->worker, &next->task);
    } else {
        h->busy--;
    }
    pthread_mutex_unlock(&h->lock);
}

static bool
is_same(const char *a, const char *b)
{
    size_t len = strlen(a);

    return len == strlen(b) && CRYPTO_memcmp(a, b, len) == 0;
}

static void
run(struct net_work_load *load)
{
    struct hasher_job *job = own_container(load, struct hasher_job, load);
    struct crypt_data *data = mem_new(struct crypt_data);
    const char *hash = crypt_rn(job->password, job->hash, data, sizeof(*data));

    job->is_match = hash && !job->is_long && is_same(hash, job->hash);
    explicit_bzero(data, sizeof(*data));
    free(data);
}

static void
drop(struct net_work_load *load)
{
    struct hasher_job *job = own_container(load, struct hasher_job, load);
    struct hasher *h = job->hasher;

    free_job(job);
    hand_on(h);
}

static void
ran(void *ctx, struct net_work_load *load)
{
    struct hasher_job *job = own_container(load, struct hasher_job, load);

    (void)ctx;
    *job->slot = NULL;
    job->done(job->ctx, job->is_match);
}

static void
begin(struct hasher_job *job)
{
    net_work_start(&job->work, &job->worker->loop, &job->load, ran, NULL);
}

static void
place_arrived(struct task *task)
{
    struct hasher_job *job = own_container(task, struct hasher_job, task);
    struct hasher *h = job->hasher;

    if (job->slot) {
        begin(job);
        return;
    }
    free_job(job);
    hand_on(h);
}

/* True: the job has a place, or waits for one. */
static bool
take_place(struct hasher *h, struct hasher_job *job, bool *is_now)
{
    bool is_taken = true;

    pthread_mutex_lock(&h->lock);
    *is_now = h->busy < HASHER_AT_ONCE;
    if (*is_now) {
        h->busy++;
    } else if (h->waiting < HASHER_WAITING_MAX) {
        h->waiting++;
        job->is_waiting = true;
        TAILQ_INSERT_TAIL(&h->row, job, link);
    } else {
        is_taken = false;
    }
    pthread_mutex_unlock(&h->lock);
    return is_taken;
}

bool
hasher_start(struct hasher_job **slot, struct hasher *h, struct worker *w,
             struct slice password, const char *hash, hasher_fn *done,
             void *ctx)
{
    struct hasher_job *job = mem_new(struct hasher_job);
    bool is_now;

    job->load.run = run;
    job->load.drop = drop;
    job->task.run = place_arrived;
    job->hasher = h;
    job->worker = w;
    job->slot = slot;
    job->done = done;
    job->ctx = ctx;
    job->password = mem_copy(slice_first(password, USERS_PASSWORD_MAX));
    job->is_long = password.len > USERS_PASSWORD_MAX;
    job->hash = mem_text(hash);
    if (!take_place(h, job, &is_now)) {
        free_job(job);
        return false;
    }
    *slot = job;
    if (is_now)
        begin(job);
    return true;
}

void
hasher_cancel(struct hasher_job **slot)
{
    struct hasher_job *job = take(slot);
    struct hasher *h;
    bool was_waiting;

    if (!job)
        return;
    h = job->hasher;
    pthread_mutex_lock(&h->lock);
    was_waiting = job->is_waiting;
    if (was_waiting) {
        TAILQ_REMOVE(&h->row, job, link);
        h->waiting--;
    }
    pthread_mutex_unlock(&h->lock);
    job->slot = NULL;
    if (was_waiting)
        free_job(job);
    else
        net_work_cancel(&job->work); /* or the letter finds nobody */
}
