/* Preloaded into the relay: everything it does to the files of its database,
 * and what it tells others, record by record in the order in which it happened.
 *
 *     TRACE_FILE       where the records go, behind what is there
 *     TRACE_DIRECTORY  the files whose names begin with "queue.db" in it
 *     TRACE_KILL       SIGKILL before the so manieth call on them, counted from
 *                      the first 250 for a message on; 0: never
 *     TRACE_FAIL       the so manieth sync of one of them of all fails,
 *                      as if the disk had refused, and then comes SIGKILL
 *
 * A change has its record when the call has succeeded, and what is told before
 * the call is made: whatever a record follows had been done by then.  rig/
 * trace.py has the same list of kinds. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { TOLD_MAX = 100 }; /* octets of a reply: enough for its first line */

enum kind {
    WRITE = 'w',
    TRUNCATE = 't',
    ALLOCATE = 'a',
    SYNC = 's',
    FORGET = 'f', /* a sync that failed: what it was for counts as written */
    SYNC_NAMES = 'd',
    LINK = 'l',
    UNLINK = 'u',
    RENAME = 'r', /* the data are the new name */
    TOLD = 'm',   /* sent to a peer */
    LOGGED = 'o', /* written to standard output */
};

struct head {
    uint8_t kind, name_len;
    uint16_t unused;
    uint32_t len;
    uint64_t inode;
    int64_t at; /* or the new size */
};

static const char promise[] = "250 2.0.0 queued as ";

static int trace = -1;
static const char *directory;
static long kill_after, fail_after;
static atomic_bool has_promised;
/* Held from before a call until its record is written, so that the records of
 * different threads' calls are in the order of these.  SIGKILL, too, comes only
 * while it is held. */
static pthread_mutex_t files = PTHREAD_MUTEX_INITIALIZER;

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static long
number(const char *name)
{
    const char *text = getenv(name);

    return text ? strtol(text, NULL, 10) : 0;
}

__attribute__((constructor)) static void
begin(void)
{
    const char *path = getenv("TRACE_FILE");

    directory = getenv("TRACE_DIRECTORY");
    kill_after = number("TRACE_KILL");
    fail_after = number("TRACE_FAIL");
    if (!path || !directory)
        abort();
    trace = REAL(open)(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (trace < 0)
        abort();
}

static void
record(enum kind kind, const char *name, uint64_t inode, int64_t at,
       const void *data, size_t len)
{
    struct head head = {.kind = (uint8_t)kind,
                        .name_len = (uint8_t)strlen(name),
                        .len = (uint32_t)len,
                        .inode = inode,
                        .at = at};
    struct iovec all[] = {{&head, sizeof(head)},
                          {(void *)name, head.name_len},
                          {(void *)data, len}};
    size_t whole = sizeof(head) + head.name_len + len;
    int before = errno;

    if (trace >= 0 && writev(trace, all, 3) != (ssize_t)whole)
        abort();
    errno = before;
}

/* The name of one of the files, or NULL. */
static const char *
name_of(const char *path)
{
    size_t len = strlen(directory);

    if (strncmp(path, directory, len) != 0 || path[len] != '/' ||
        strncmp(path + len + 1, "queue.db", 8) != 0)
        return NULL;
    return path + len + 1;
}

struct file {
    char path[PATH_MAX];
    const char *name; /* NULL: none of ours */
    uint64_t inode;
};

static struct file *
look(int fd, struct file *f)
{
    char link[64];
    int before = errno;
    struct stat st;
    ssize_t len;

    (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    len = readlink(link, f->path, sizeof(f->path) - 1);
    f->path[len < 0 ? 0 : len] = '\0';
    f->name = name_of(f->path);
    if (f->name && fstat(fd, &st) == 0)
        f->inode = st.st_ino;
    errno = before;
    return f;
}

static void
enter(void)
{
    pthread_mutex_lock(&files);
    if (kill_after > 0 && atomic_load(&has_promised) && --kill_after == 0)
        (void)kill(getpid(), SIGKILL);
}

static void
leave(void)
{
    pthread_mutex_unlock(&files);
}

static int
open_traced(const char *path, int flags, mode_t mode)
{
    const char *name = name_of(path);
    struct stat st;
    int fd, before;
    bool is_new;

    if (!name || !(flags & O_CREAT))
        return REAL(open)(path, flags, mode);
    enter();
    before = errno;
    is_new = stat(path, &st) != 0;
    errno = before;
    fd = REAL(open)(path, flags, mode);
    if (fd >= 0 && is_new && fstat(fd, &st) == 0)
        record(LINK, name, st.st_ino, 0, NULL, 0);
    leave();
    return fd;
}

int
open(const char *path, int flags, ...)
{
    va_list rest;
    mode_t mode;

    va_start(rest, flags);
    mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    return open_traced(path, flags, mode);
}

int
open64(const char *path, int flags, ...)
{
    va_list rest;
    mode_t mode;

    va_start(rest, flags);
    mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    return open_traced(path, flags, mode);
}

ssize_t
pwrite64(int fd, const void *p, size_t n, off64_t at)
{
    struct file f;
    ssize_t done;

    if (!look(fd, &f)->name)
        return REAL(pwrite64)(fd, p, n, at);
    enter();
    done = REAL(pwrite64)(fd, p, n, at);
    if (done > 0)
        record(WRITE, f.name, f.inode, at, p, (size_t)done);
    leave();
    return done;
}

ssize_t
pwrite(int fd, const void *p, size_t n, off_t at)
{
    return pwrite64(fd, p, n, at);
}

int
ftruncate64(int fd, off64_t size)
{
    struct file f;
    int rc;

    if (!look(fd, &f)->name)
        return REAL(ftruncate64)(fd, size);
    enter();
    rc = REAL(ftruncate64)(fd, size);
    if (rc == 0)
        record(TRUNCATE, f.name, f.inode, size, NULL, 0);
    leave();
    return rc;
}

int
posix_fallocate(int fd, off_t at, off_t len)
{
    struct file f;
    int rc;

    if (!look(fd, &f)->name)
        return REAL(posix_fallocate)(fd, at, len);
    enter();
    rc = REAL(posix_fallocate)(fd, at, len);
    if (rc == 0)
        record(ALLOCATE, f.name, f.inode, at + len, NULL, 0);
    leave();
    return rc;
}

static bool
is_refused(void)
{
    return fail_after > 0 && --fail_after == 0;
}

static int
sync_traced(int fd, int (*sync)(int))
{
    struct file f;
    bool is_directory;
    int rc;

    look(fd, &f);
    is_directory = strcmp(f.path, directory) == 0;
    if (!f.name && !is_directory)
        return sync(fd);
    enter();
    if (f.name && is_refused()) {
        record(FORGET, f.name, f.inode, 0, NULL, 0);
        (void)kill(getpid(), SIGKILL);
    }
    rc = sync(fd);
    if (rc == 0 && is_directory)
        record(SYNC_NAMES, "", 0, 0, NULL, 0);
    else if (rc == 0)
        record(SYNC, f.name, f.inode, 0, NULL, 0);
    leave();
    return rc;
}

int
fsync(int fd)
{
    return sync_traced(fd, REAL(fsync));
}

int
fdatasync(int fd)
{
    return sync_traced(fd, REAL(fdatasync));
}

int
unlink(const char *path)
{
    const char *name = name_of(path);
    int rc;

    if (!name)
        return REAL(unlink)(path);
    enter();
    rc = REAL(unlink)(path);
    if (rc == 0)
        record(UNLINK, name, 0, 0, NULL, 0);
    leave();
    return rc;
}

int
rename(const char *from, const char *to)
{
    const char *name = name_of(from), *other = name_of(to);
    int rc;

    if (!name || !other)
        return REAL(rename)(from, to);
    enter();
    rc = REAL(rename)(from, to);
    if (rc == 0)
        record(RENAME, name, 0, 0, other, strlen(other));
    leave();
    return rc;
}

ssize_t
send(int fd, const void *p, size_t n, int flags)
{
    if (n >= sizeof(promise) && memcmp(p, promise, sizeof(promise) - 1) == 0) {
        record(TOLD, "", 0, 0, p, n < TOLD_MAX ? n : TOLD_MAX);
        atomic_store(&has_promised, true);
    }
    return REAL(send)(fd, p, n, flags);
}

ssize_t
write(int fd, const void *p, size_t n)
{
    if (fd == STDOUT_FILENO)
        record(LOGGED, "", 0, 0, p, n);
    return REAL(write)(fd, p, n);
}
