#include "relay/cli/file_copy.h"

#include "relay/base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <unistd.h>

enum { PIECE = 256 * 1024 };

static bool
copy_octets(int in, int out)
{
    char *piece scoped(own_free) = mem_array(char, PIECE);

    for (;;) {
        ssize_t n = read(in, piece, PIECE);

        if (n == 0)
            return true;
        if (n < 0)
            return false;
        for (ssize_t done = 0; done < n;) {
            ssize_t m = write(out, piece + done, (size_t)(n - done));

            if (m < 0)
                return false;
            done += m;
        }
    }
}

bool
cli_file_copy(const char *from, const char *to, struct err *err)
{
    int in scoped(own_close) = open(from, O_RDONLY | O_CLOEXEC);
    int out scoped(own_close) = -1;

    if (in < 0)
        return err_errno(err, "%s", from);
    (void)unlink(to);
    out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (out < 0)
        return err_errno(err, "%s", to);
    if (copy_octets(in, out))
        return true;
    (void)err_errno(err, "%s to %s", from, to);
    (void)unlink(to);
    return false;
}

static bool
sync_path(const char *path, int flags, struct err *err)
{
    int fd scoped(own_close) = open(path, flags | O_RDONLY | O_CLOEXEC);

    return (fd >= 0 && fsync(fd) == 0) || err_errno(err, "%s", path);
}

bool
cli_file_sync_name(const char *path, struct err *err)
{
    char *copy scoped(own_free) = mem_text(path);

    return sync_path(dirname(copy), O_DIRECTORY, err);
}

static bool
name_it(const char *from, const char *to, struct err *err)
{
    return sync_path(from, 0, err) &&
           (rename(from, to) == 0 || err_errno(err, "%s", to)) &&
           cli_file_sync_name(to, err);
}

static bool
move_far(const char *from, const char *to, struct err *err)
{
    char *part scoped(own_free) = mem_printf("%s.part", to);

    if (!cli_file_copy(from, part, err))
        return false;
    if (!name_it(part, to, err)) {
        (void)unlink(part);
        return false;
    }
    return unlink(from) == 0 || err_errno(err, "%s", from);
}

bool
cli_file_move(const char *from, const char *to, struct err *err)
{
    if (!sync_path(from, 0, err))
        return false;
    if (rename(from, to) == 0)
        return cli_file_sync_name(to, err);
    return errno == EXDEV ? move_far(from, to, err) : err_errno(err, "%s", to);
}
