#include "relay/daemon/lock.h"

#include "relay/base/mem.h"
#include "relay/daemon/directory.h"
#include "relay/daemon/filesystem.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

static bool
make_directory(const char *directory, struct err *err)
{
    if (!directory_make(directory, 0700, NULL, err))
        return err_in(err, "state_directory");
    if (access(directory, R_OK | W_OK | X_OK) != 0)
        return err_errno(err, "state_directory: %s: not writable by this user",
                         directory);
    return true;
}

static bool
say_owner(const char *directory, int fd, struct err *err)
{
    char pid[32] = "";
    ssize_t n = pread(fd, pid, sizeof(pid) - 1, 0);

    while (n > 0 && (pid[n - 1] < '0' || pid[n - 1] > '9'))
        n--;
    pid[n > 0 ? n : 0] = '\0';
    return err_set(err, ERR_SYSTEM,
                   "%s: queue is in use by pid %s; stop that relay first, or "
                   "choose another state_directory",
                   directory, *pid ? pid : "unknown");
}

bool
lock_take(const char *directory, int *out, struct err *err)
{
    char *path scoped(own_free) = mem_printf("%s/queue.lock", directory);
    int fd scoped(own_close) = -1;

    if (!make_directory(directory, err))
        return false;
    if (filesystem_of(directory) == FILESYSTEM_NETWORK)
        return err_set(err, ERR_INPUT,
                       "%s: on a network filesystem, whose locks can't be "
                       "trusted; choose a local state_directory",
                       directory);
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return err_errno(err, "%s", path);
    if (flock(fd, LOCK_EX | LOCK_NB) != 0)
        return say_owner(directory, fd, err);
    if (ftruncate(fd, 0) != 0 || dprintf(fd, "%ld\n", (long)getpid()) < 0)
        return err_errno(err, "%s", path);
    *out = fd;
    fd = -1;
    return true;
}
