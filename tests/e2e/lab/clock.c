/* Preloaded into a relay whose clocks a test turns: every one of them is ahead
 * by what stands in the file CLOCK_AHEAD, nanoseconds, and no wait for events
 * is longer than a moment, so that a turn is seen at once.  Allocates nothing,
 * as a sanitizer asks for the time while it allocates. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { MOMENT_MS = 20 };

static const int64_t billion = 1000000000;
static const volatile int64_t none, *ahead = &none;
static int (*real_wait)(pthread_cond_t *, pthread_mutex_t *,
                        const struct timespec *);

__attribute__((constructor)) static void
begin(void)
{
    const char *path = getenv("CLOCK_AHEAD");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void *page = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);

    if (page != MAP_FAILED)
        ahead = page;
    real_wait =
        (int (*)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *))
            dlsym(RTLD_NEXT, "pthread_cond_timedwait");
}

static struct timespec
moved(const struct timespec *t, int64_t by)
{
    int64_t ns = t->tv_sec * billion + t->tv_nsec + by;

    return (struct timespec){ns / billion, ns % billion};
}

int
clock_gettime(clockid_t clock, struct timespec *out)
{
    int failed = (int)syscall(SYS_clock_gettime, clock, out);

    if (!failed && clock != CLOCK_PROCESS_CPUTIME_ID &&
        clock != CLOCK_THREAD_CPUTIME_ID)
        *out = moved(out, *ahead);
    return failed;
}

time_t
time(time_t *out)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    if (out)
        *out = now.tv_sec;
    return now.tv_sec;
}

int
gettimeofday(struct timeval *out, void *zone)
{
    struct timespec now;

    (void)zone;
    clock_gettime(CLOCK_REALTIME, &now);
    *out = (struct timeval){now.tv_sec, now.tv_nsec / 1000};
    return 0;
}

int
pthread_cond_timedwait(pthread_cond_t *c, pthread_mutex_t *m,
                       const struct timespec *until)
{
    struct timespec truly = moved(until, -*ahead);

    return real_wait(c, m, &truly);
}

int
epoll_pwait(int fd, struct epoll_event *events, int max, int ms,
            const sigset_t *mask)
{
    if (ms > MOMENT_MS) /* without end: no timer is set */
        ms = MOMENT_MS;
    return (int)syscall(SYS_epoll_pwait, fd, events, max, ms, mask, 8);
}

int
epoll_wait(int fd, struct epoll_event *events, int max, int ms)
{
    return epoll_pwait(fd, events, max, ms, NULL);
}
