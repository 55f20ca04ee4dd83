/* Preloaded into the relay: faults of the disk and of the clock, set while it
 * runs through a page shared with the test.  SQLite alone uses pwrite, fsync,
 * fdatasync and ftruncate here; send is what the sessions use. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

/* `skip` calls are let through, then `count` fail with `error`; in Python
 * rig/shim.py has the same list. */
struct fault {
    _Atomic int64_t calls, error, skip, count, delay_us;
};

struct control {
    _Atomic int64_t steps;     /* writes, syncs and sends so far */
    _Atomic int64_t kill_at;   /* die before this step; 0: never */
    _Atomic int64_t kills;     /* how often it has died so */
    _Atomic int64_t wall_ms;   /* added to the wall clock, */
    _Atomic int64_t steady_ms; /* and to the other ones */
    struct fault write, sync;
};

static struct control *control;

__attribute__((constructor)) static void
begin(void)
{
    const char *path = getenv("FAULT_CONTROL");
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    void *page = fd < 0 ? MAP_FAILED
                        : mmap(NULL, sizeof(*control), PROT_READ | PROT_WRITE,
                               MAP_SHARED, fd, 0);

    if (page == MAP_FAILED)
        abort();
    (void)close(fd);
    control = page;
}

static void
step(void)
{
    int64_t now = atomic_fetch_add(&control->steps, 1) + 1;

    if (now == control->kill_at) {
        (void)atomic_fetch_add(&control->kills, 1);
        (void)kill(getpid(), SIGKILL);
    }
}

/* True: the call fails, errno says how. */
static int
fails(struct fault *f)
{
    step();
    (void)atomic_fetch_add(&f->calls, 1);
    if (f->delay_us > 0)
        (void)usleep((useconds_t)f->delay_us);
    if (f->error == 0 || f->count == 0)
        return 0;
    if (f->skip > 0) {
        (void)atomic_fetch_sub(&f->skip, 1);
        return 0;
    }
    (void)atomic_fetch_sub(&f->count, 1);
    errno = (int)f->error;
    return 1;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t
pwrite64(int fd, const void *p, size_t n, off64_t at)
{
    return fails(&control->write) ? -1 : REAL(pwrite64)(fd, p, n, at);
}

int
ftruncate64(int fd, off64_t size)
{
    return fails(&control->write) ? -1 : REAL(ftruncate64)(fd, size);
}

int
fsync(int fd)
{
    return fails(&control->sync) ? -1 : REAL(fsync)(fd);
}

int
fdatasync(int fd)
{
    return fails(&control->sync) ? -1 : REAL(fdatasync)(fd);
}

ssize_t
send(int fd, const void *p, size_t n, int flags)
{
    step();
    return REAL(send)(fd, p, n, flags);
}

static int
is_wall(clockid_t clock)
{
    return clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE;
}

int
clock_gettime(clockid_t clock, struct timespec *out)
{
    int rc = REAL(clock_gettime)(clock, out);

    if (rc == 0 && control)
        out->tv_sec +=
            (is_wall(clock) ? control->wall_ms : control->steady_ms) / 1000;
    return rc;
}

int
gettimeofday(struct timeval *out, void *zone)
{
    int rc = REAL(gettimeofday)(out, zone);

    if (rc == 0 && control)
        out->tv_sec += control->wall_ms / 1000;
    return rc;
}

time_t
time(time_t *out)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    if (out)
        *out = now.tv_sec;
    return now.tv_sec;
}
