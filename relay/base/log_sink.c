#include "relay/base/log_sink.h"

#include "relay/base/log.h"
#include "relay/base/mem.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

enum {
    CLOSE_S = 1,     /* how long close waits for the rest */
    AGAIN_MS = 1000, /* pause after an error that may pass */
    SAID_SIZE = 256, /* the line about dropped ones */
    MOMENT_NS = 1000000,
    PIECE = 4096 /* octets of one write: not more than what POLLOUT
                    promises to take of a pipe (PIPE_BUF) */
};

/* A ring: `len` octets from `from` on wait to be written.  Only the thread
 * moves `from`, so that it may read them without the lock. */
struct log_sink {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    pthread_t thread;
    log_sink_said_fn *said;
    void *ctx;
    int fd;
    int stop; /* eventfd: give up on what is left */
    size_t from, len;
    uint64_t dropped; /* atomic */
    uint64_t unsaid;  /* of these, not yet logged */
    bool is_asleep;   /* the thread has nothing to do */
    bool is_closing;
    bool is_over; /* the thread has ended, or is about to */
    bool is_dead; /* nobody will ever read what we write */
    char ring[LOG_BUFFER_MAX];
};

static void
add(struct log_sink *s, struct slice bytes)
{
    size_t end = (s->from + s->len) % LOG_BUFFER_MAX;
    size_t first = LOG_BUFFER_MAX - end;

    if (first > bytes.len)
        first = bytes.len;
    memcpy(s->ring + end, bytes.p, first);
    memcpy(s->ring, bytes.p + first, bytes.len - first);
    s->len += bytes.len;
}

static void
wake(struct log_sink *s)
{
    if (s->is_asleep)
        pthread_cond_broadcast(&s->changed);
    s->is_asleep = false;
}

/* Says how much was lost, in its place among the lines. */
static void
say_dropped(struct log_sink *s)
{
    char line[SAID_SIZE];

    if (s->is_dead || s->unsaid == 0 || LOG_BUFFER_MAX - s->len < sizeof(line))
        return;
    add(s,
        (struct slice){line, s->said(s->ctx, s->unsaid, line, sizeof(line))});
    s->unsaid = 0;
}

void
log_sink_put(struct log_sink *s, struct slice line)
{
    pthread_mutex_lock(&s->lock);
    say_dropped(s);
    if (s->is_dead || s->unsaid > 0 || LOG_BUFFER_MAX - s->len < line.len) {
        __atomic_fetch_add(&s->dropped, 1, __ATOMIC_RELAXED);
        s->unsaid++;
    } else {
        add(s, line);
        wake(s);
    }
    pthread_mutex_unlock(&s->lock);
}

uint64_t
log_sink_dropped(const struct log_sink *s)
{
    return __atomic_load_n(&s->dropped, __ATOMIC_RELAXED);
}

/* Sleeps until there is something to write; then for another moment, so that
 * lines in a row cost their writers one wake-up and not one each. */
static void
sleep_while_empty(struct log_sink *s)
{
    static const struct timespec moment = {0, MOMENT_NS};

    if (s->len > 0 || s->is_closing)
        return;
    while (s->len == 0 && !s->is_closing) {
        s->is_asleep = true;
        pthread_cond_wait(&s->changed, &s->lock);
    }
    if (s->is_closing)
        return;
    pthread_mutex_unlock(&s->lock);
    (void)nanosleep(&moment, NULL);
    pthread_mutex_lock(&s->lock);
}

/* What comes next; false when there is nothing and the sink closes. */
static bool
wait_for_bytes(struct log_sink *s, struct slice *out)
{
    size_t n;

    pthread_mutex_lock(&s->lock);
    if (s->len == 0)
        say_dropped(s);
    sleep_while_empty(s);
    n = s->len < PIECE ? s->len : PIECE;
    if (n > LOG_BUFFER_MAX - s->from)
        n = LOG_BUFFER_MAX - s->from;
    *out = (struct slice){s->ring + s->from, n};
    if (n == 0) {
        s->is_over = true;
        pthread_cond_broadcast(&s->changed);
    }
    pthread_mutex_unlock(&s->lock);
    return n > 0;
}

static void
mark_written(struct log_sink *s, size_t n)
{
    pthread_mutex_lock(&s->lock);
    if (!s->is_dead) {
        s->from = (s->from + n) % LOG_BUFFER_MAX;
        s->len -= n;
    }
    pthread_mutex_unlock(&s->lock);
}

static void
mark_dead(struct log_sink *s)
{
    pthread_mutex_lock(&s->lock);
    s->is_dead = true;
    s->len = 0;
    pthread_mutex_unlock(&s->lock);
}

/* Sleeps until fd takes bytes (or `limit_ms` have passed, -1 never); false when
 * it is time to stop. */
static bool
wait_to_write(const struct log_sink *s, short events, int limit_ms)
{
    struct pollfd on[2] = {{.fd = s->stop, .events = POLLIN},
                           {.fd = s->fd, .events = events}};

    (void)poll(on, events ? 2 : 1, limit_ms);
    return on[0].revents == 0;
}

/* Writes some of `bytes`; false: it makes no sense to go on. */
static bool
write_some(const struct log_sink *s, struct slice bytes, size_t *done)
{
    ssize_t n;

    *done = 0;
    if (!wait_to_write(s, POLLOUT, -1))
        return false;
    n = write(s->fd, bytes.p, bytes.len);
    if (n >= 0) {
        *done = (size_t)n;
        return true;
    }
    if (errno == EPIPE || errno == EBADF)
        return false;
    return errno == EINTR || errno == EAGAIN || /* else a full disk, say */
           wait_to_write(s, 0, AGAIN_MS);
}

static void *
run(void *arg)
{
    struct log_sink *s = arg;
    struct slice bytes;

    while (wait_for_bytes(s, &bytes)) {
        size_t n;

        if (write_some(s, bytes, &n))
            mark_written(s, n);
        else
            mark_dead(s);
    }
    return NULL;
}

static void
free_sink(struct log_sink **s)
{
    if (!*s)
        return;
    own_close(&(*s)->stop);
    pthread_cond_destroy(&(*s)->changed);
    pthread_mutex_destroy(&(*s)->lock);
    free(*s);
    *s = NULL;
}

struct log_sink *
log_sink_open(int fd, log_sink_said_fn *said, void *ctx, struct err *err)
{
    scoped(free_sink) struct log_sink *s = mem_new(struct log_sink);
    pthread_condattr_t attr;
    sigset_t all, before;

    s->fd = fd, s->said = said, s->ctx = ctx;
    pthread_mutex_init(&s->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&s->changed, &attr);
    pthread_condattr_destroy(&attr);
    s->stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (s->stop < 0) {
        (void)err_errno(err, "eventfd");
        return NULL;
    }
    /* Signals are for the other threads; SIGPIPE here becomes EPIPE. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    errno = pthread_create(&s->thread, NULL, run, s);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (errno == 0)
        return take(&s);
    (void)err_errno(err, "start the thread of the log");
    return NULL;
}

/* True once the thread has nothing more to do. */
static bool
wait_for_end(struct log_sink *s)
{
    struct timespec limit;
    bool is_over;

    clock_gettime(CLOCK_MONOTONIC, &limit);
    limit.tv_sec += CLOSE_S;
    pthread_mutex_lock(&s->lock);
    while (!s->is_over &&
           pthread_cond_timedwait(&s->changed, &s->lock, &limit) == 0)
        ;
    is_over = s->is_over;
    pthread_mutex_unlock(&s->lock);
    return is_over;
}

void
log_sink_close(struct log_sink **s)
{
    struct log_sink *dead = take(s);

    if (!dead)
        return;
    pthread_mutex_lock(&dead->lock);
    dead->is_closing = true;
    wake(dead);
    pthread_mutex_unlock(&dead->lock);
    if (!wait_for_end(dead)) {
        (void)eventfd_write(dead->stop, 1);
        /* A terminal may still hold the thread within its write: then what it
         * uses stays until the process ends. */
        if (!wait_for_end(dead)) {
            mark_dead(dead);
            (void)pthread_detach(dead->thread);
            return;
        }
    }
    (void)pthread_join(dead->thread, NULL);
    free_sink(&dead);
}
