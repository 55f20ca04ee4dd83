#include "relay/cli/user_file.h"

#include "relay/base/mem.h"
#include "relay/base/secret.h"
#include "relay/cli/file_copy.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NEW_MODE = 0640 };

/* Is what we have locked still what has that name?  Else somebody has put
 * another file in its place while we waited. */
static bool
is_current(int fd, const char *path, struct stat *st)
{
    struct stat there;

    return fstat(fd, st) == 0 && stat(path, &there) == 0 &&
           st->st_dev == there.st_dev && st->st_ino == there.st_ino;
}

static bool
make(const char *path, gid_t group, struct err *err)
{
    scoped(own_close) int fd =
        open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    if (fd < 0 && errno == EEXIST)
        return true; /* somebody else was faster */
    if (fd < 0 || (group != (gid_t)-1 && fchown(fd, (uid_t)-1, group) != 0) ||
        fchmod(fd, NEW_MODE) != 0)
        return err_errno(err, "%s", path);
    return true;
}

static bool
lock(struct cli_user_file *f, gid_t group, struct err *err)
{
    struct stat st;

    for (;;) {
        scoped(own_close) int fd = open(f->path, O_RDWR | O_CLOEXEC);

        if (fd < 0 && errno == ENOENT) {
            if (!make(f->path, group, err))
                return false;
            continue;
        }
        if (fd < 0 || flock(fd, LOCK_EX) != 0)
            return err_errno(err, "%s", f->path);
        if (!is_current(fd, f->path, &st))
            continue;
        f->mode = st.st_mode & 07777;
        f->uid = st.st_uid;
        f->gid = st.st_gid;
        f->fd = fd;
        fd = -1;
        return true;
    }
}

bool
cli_user_file_open(struct cli_user_file *f, const char *path,
                   bool is_for_change, gid_t group, struct config_errors *errs)
{
    struct err err;

    *f = (struct cli_user_file){.path = path, .fd = -1};
    if ((is_for_change && !lock(f, group, &err)) ||
        !config_read_text(path, USERS_FILE_MAX, &f->text, &err)) {
        config_error(errs, path, NULL, "%s", err.text);
        return false;
    }
    return users_parse(buf_slice(&f->text), path, &f->users, errs);
}

void
cli_user_file_close(struct cli_user_file *f)
{
    secret_buf_free(&f->text);
    users_drop(&f->users);
    own_close(&f->fd);
}

static bool
write_all(int fd, struct slice text)
{
    while (text.len > 0) {
        ssize_t n = write(fd, text.p, text.len);

        if (n < 0 && errno != EINTR)
            return false;
        text = slice_from(text, n > 0 ? (size_t)n : 0);
    }
    return true;
}

/* Nobody may read it before it has its owner and mode. */
static bool
fill(const struct cli_user_file *f, int fd, struct slice text)
{
    struct stat st;

    if (fstat(fd, &st) != 0)
        return false;
    if ((st.st_uid != f->uid || st.st_gid != f->gid) &&
        fchown(fd, f->uid, f->gid) != 0)
        return false;
    return write_all(fd, text) && fchmod(fd, f->mode) == 0 && fsync(fd) == 0;
}

static bool
replace(const struct cli_user_file *f, struct slice text, struct err *err)
{
    scoped(own_free) char *path = mem_printf("%s.XXXXXX", f->path);
    scoped(own_close) int fd = mkostemp(path, O_CLOEXEC);

    if (fd < 0)
        return err_errno(err, "%s", path);
    if (!fill(f, fd, text) || rename(path, f->path) != 0) {
        err_errno(err, "%s", path);
        (void)unlink(path);
        return false;
    }
    return cli_file_sync_name(f->path, err);
}

/* Comments and empty lines have no name. */
static bool
is_of(struct slice line, struct slice name)
{
    struct slice own = users_line_name(line);

    return own.len == name.len && memcmp(own.p, name.p, name.len) == 0;
}

bool
cli_user_file_set(struct cli_user_file *f, struct slice name, struct slice line,
                  struct err *err)
{
    scoped(secret_buf_free) struct buf text = {0};
    struct slice rest = buf_slice(&f->text);
    bool is_done = false;

    (void)buf_room(&text, rest.len + line.len + 2);
    while (rest.len > 0) {
        struct slice old = slice_cut(&rest, '\n');

        if (is_of(old, name)) {
            buf_add(&text, line);
            is_done = true;
        } else {
            buf_add(&text, old);
            buf_add_byte(&text, '\n');
        }
    }
    if (!is_done)
        buf_add(&text, line);
    return replace(f, buf_slice(&text), err);
}

struct slice
cli_user_file_senders(const struct cli_user_file *f, struct slice name)
{
    struct slice rest = buf_slice(&f->text);

    while (rest.len > 0) {
        struct slice line = slice_cut(&rest, '\n');

        if (!is_of(line, name))
            continue;
        (void)slice_cut(&line, ':');
        (void)slice_cut(&line, ':');
        return slice_cut(&line, ':');
    }
    return (struct slice){"", 0};
}
