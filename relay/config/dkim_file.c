#include "relay/config/dkim_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MODE_WIDEST = 0640 };

static struct dkim_stamp
stamp(const struct stat *st)
{
    return (struct dkim_stamp){.device = st->st_dev,
                               .inode = st->st_ino,
                               .size = st->st_size,
                               .changed = st->st_ctim,
                               .modified = st->st_mtim};
}

static bool
read_all(int fd, struct buf *out, struct err *err)
{
    for (;;) {
        size_t room = DKIM_FILE_MAX + 1 - out->len;
        ssize_t n = read(fd, buf_room(out, room), room);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_errno(err, "can't be read");
        if (n == 0)
            return true;
        out->len += (size_t)n;
        if (out->len > DKIM_FILE_MAX)
            return err_set(err, ERR_LIMIT, "is larger than %d octets",
                           DKIM_FILE_MAX);
    }
}

static void
forget(struct buf *secret)
{
    if (secret->p)
        explicit_bzero(secret->p, secret->cap);
    buf_free(secret);
}

bool
dkim_file_read(const char *path, struct dkim_file *out, struct err *err)
{
    /* Without O_NONBLOCK a FIFO would hold us up for ever. */
    scoped(own_close) int fd =
        open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    /* All its room at once: what grows leaves copies behind. */
    scoped(forget) struct buf text = {0};
    struct stat st;

    *out = (struct dkim_file){.stamp = dkim_stamp_of(path)};
    if (fd < 0 || fstat(fd, &st) != 0)
        return err_errno(err, "can't be opened");
    out->stamp = stamp(&st);
    out->is_open = (st.st_mode & 0777 & ~(unsigned)MODE_WIDEST) != 0;
    if (!S_ISREG(st.st_mode))
        return err_set(err, ERR_INPUT, "is not a regular file");
    (void)buf_room(&text, DKIM_FILE_MAX + 1);
    if (!read_all(fd, &text, err))
        return false;
    out->key = mail_dkim_key_new(buf_slice(&text), err);
    return out->key || err_in(err, "holds no key to sign with");
}

void
dkim_file_done(struct dkim_file *f)
{
    mail_dkim_key_free(&f->key);
}

struct dkim_stamp
dkim_stamp_of(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 ? stamp(&st) : (struct dkim_stamp){0};
}

static bool
is_same_time(struct timespec a, struct timespec b)
{
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

bool
dkim_stamp_is_same(const struct dkim_stamp *a, const struct dkim_stamp *b)
{
    return a->device == b->device && a->inode == b->inode &&
           a->size == b->size && is_same_time(a->changed, b->changed) &&
           is_same_time(a->modified, b->modified);
}
