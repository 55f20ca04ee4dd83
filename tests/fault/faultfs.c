/*
 * tests/fault/faultfs - file calls that fail when they are told to.
 *
 * Loaded with LD_PRELOAD in front of a program.  It counts the calls of one
 * kind on files of one name, and lets some of them fail or end the process:
 *
 *     FAULTFS_FILE   a pattern for the paths of the files concerned,
 *                    as in a shell
 *     FAULTFS_CALL   sync, write, read, truncate, unlink or any
 *     FAULTFS_AT     the number of the first call that fails, from 1
 *     FAULTFS_COUNT  how many fail (1; 0: all from there on)
 *     FAULTFS_ERRNO  the errno they fail with (5, EIO)
 *     FAULTFS_SHORT  1: a write writes half of its octets first
 *     FAULTFS_KILL   1: SIGKILL instead of failing
 *     FAULTFS_COUNTS where the number of counted calls is written at the end
 *
 * Without FAULTFS_FILE nothing is touched.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fnmatch.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct {
    const char *file, *call;
    long at, count, error;
    bool cuts, kills;
    long calls; /* counted so far */
    pthread_mutex_t lock;
} plan = {.lock = PTHREAD_MUTEX_INITIALIZER};

static long
number(const char *name, long otherwise)
{
    const char *text = getenv(name);

    return text ? strtol(text, NULL, 10) : otherwise;
}

__attribute__((constructor)) static void
read_plan(void)
{
    plan.file = getenv("FAULTFS_FILE");
    plan.call = getenv("FAULTFS_CALL");
    plan.at = number("FAULTFS_AT", 0);
    plan.count = number("FAULTFS_COUNT", 1);
    plan.error = number("FAULTFS_ERRNO", EIO);
    plan.cuts = number("FAULTFS_SHORT", 0) != 0;
    plan.kills = number("FAULTFS_KILL", 0) != 0;
}

__attribute__((destructor)) static void
write_counts(void)
{
    const char *path = getenv("FAULTFS_COUNTS");
    FILE *f = path ? fopen(path, "w") : NULL;

    if (!f)
        return;
    (void)fprintf(f, "%ld\n", plan.calls);
    (void)fclose(f);
}

/* The symbol that the program would have got without this library. */
static void *
next_of(const char *name)
{
    void *p = dlsym(RTLD_NEXT, name);

    if (!p)
        abort();
    return p;
}

static bool
is_due(const char *path, const char *call)
{
    bool due;

    if (!plan.file || !plan.call || fnmatch(plan.file, path, 0) != 0 ||
        (strcmp(plan.call, "any") != 0 && strcmp(plan.call, call) != 0))
        return false;
    pthread_mutex_lock(&plan.lock);
    plan.calls++;
    due = plan.at > 0 && plan.calls >= plan.at &&
          (plan.count == 0 || plan.calls < plan.at + plan.count);
    pthread_mutex_unlock(&plan.lock);
    if (due && plan.kills)
        (void)kill(getpid(), SIGKILL);
    return due;
}

static bool
is_due_fd(int fd, const char *call)
{
    char link[64], path[PATH_MAX];
    int before = errno;
    ssize_t len;

    if (!plan.file)
        return false;
    (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    len = readlink(link, path, sizeof(path) - 1);
    errno = before;
    if (len < 0)
        return false;
    path[len] = '\0';
    return is_due(path, call);
}

static int
fail(void)
{
    errno = (int)plan.error;
    return -1;
}

#define NEXT(name) ((__typeof__(&name))next_of(#name))

int
fsync(int fd)
{
    return is_due_fd(fd, "sync") ? fail() : NEXT(fsync)(fd);
}

int
fdatasync(int fd)
{
    return is_due_fd(fd, "sync") ? fail() : NEXT(fdatasync)(fd);
}

ssize_t
pwrite64(int fd, const void *p, size_t len, off64_t at)
{
    if (!is_due_fd(fd, "write"))
        return NEXT(pwrite64)(fd, p, len, at);
    if (plan.cuts)
        (void)!NEXT(pwrite64)(fd, p, len / 2, at);
    return fail();
}

ssize_t
pwrite(int fd, const void *p, size_t len, off_t at)
{
    return pwrite64(fd, p, len, at);
}

ssize_t
pread64(int fd, void *p, size_t len, off64_t at)
{
    return is_due_fd(fd, "read") ? fail() : NEXT(pread64)(fd, p, len, at);
}

int
ftruncate64(int fd, off64_t len)
{
    return is_due_fd(fd, "truncate") ? fail() : NEXT(ftruncate64)(fd, len);
}

int
ftruncate(int fd, off_t len)
{
    return ftruncate64(fd, len);
}

int
unlink(const char *path)
{
    return is_due(path, "unlink") ? fail() : NEXT(unlink)(path);
}
