#include "relay/daemon/maildrop_scan.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

bool
maildrop_check(const char *directory, struct err *err)
{
    struct stat st;

    if (stat(directory, &st) != 0)
        return err_errno(err, "%s", directory);
    if (!S_ISDIR(st.st_mode))
        return err_set(err, ERR_INPUT, "%s: not a directory", directory);
    if (geteuid() != 0 && st.st_uid != geteuid())
        return err_set(err, ERR_INPUT,
                       "%s: belongs to somebody else than the relay, which "
                       "could not take files away there",
                       directory);
    if ((st.st_mode & (S_IWGRP | S_IWOTH)) && !(st.st_mode & S_ISVTX))
        return err_set(err, ERR_INPUT,
                       "%s: others may write there, and without the sticky "
                       "bit (chmod +t) take each other's mail away",
                       directory);
    return true;
}

static bool
ends_with(const char *name, size_t len, const char *end)
{
    size_t n = strlen(end);

    return len > n && strcmp(name + len - n, end) == 0;
}

static bool
is_message(const char *name)
{
    size_t len = strlen(name);

    return len <= MAILDROP_NAME_MAX && name[0] != '.' &&
           ends_with(name, len, MAILDROP_READY);
}

static void
drop_stale(DIR *d, const char *name)
{
    struct stat st;

    if (strncmp(name, MAILDROP_NEW, strlen(MAILDROP_NEW)) == 0 &&
        fstatat(dirfd(d), name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
        time(NULL) - st.st_mtime > MAILDROP_STALE_S)
        (void)unlinkat(dirfd(d), name, 0);
}

/* Keeps the list sorted, and its last name out when it is full. */
static void
keep(struct maildrop_names *out, const char *name)
{
    size_t from = 0, to = out->count;

    while (from < to) {
        size_t middle = from + (to - from) / 2;

        if (strcmp(name, out->name[middle]) < 0)
            to = middle;
        else
            from = middle + 1;
    }
    if (from == MAILDROP_SCAN_MAX)
        return;
    if (out->count < MAILDROP_SCAN_MAX)
        out->count++;
    memmove(out->name[from + 1], out->name[from],
            (out->count - from - 1) * sizeof(out->name[0]));
    memcpy(out->name[from], name, strlen(name) + 1);
}

static void
close_directory(DIR **d)
{
    if (*d)
        (void)closedir(*d);
}

bool
maildrop_scan(const char *directory, const char *after,
              struct maildrop_names *out, struct err *err)
{
    DIR *d scoped(close_directory) = opendir(directory);
    const struct dirent *entry;

    out->count = 0;
    if (!d)
        return err_errno(err, "%s", directory);
    while ((errno = 0, entry = readdir(d)) != NULL) {
        if (is_message(entry->d_name) && strcmp(entry->d_name, after) > 0)
            keep(out, entry->d_name);
        else
            drop_stale(d, entry->d_name);
    }
    return errno == 0 || err_errno(err, "%s", directory);
}

static bool
refuse_open(const char *path, struct err *err)
{
    if (errno == ENOENT)
        return err_set(err, ERR_MISSING, "it is gone");
    if (errno == ELOOP || errno == EACCES || errno == EPERM || errno == ENXIO)
        return err_set(err, ERR_INPUT, "can't be read: %s", strerror(errno));
    return err_errno(err, "%s", path);
}

/* Nobody can make us read, or wait for, what is not a message of his own: a
 * link, a pipe, or a second name of somebody else's file. */
bool
maildrop_open(const char *path, int *fd, struct maildrop_file *out,
              struct err *err)
{
    int file scoped(own_close) =
        open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    struct stat st;

    if (file < 0)
        return refuse_open(path, err);
    if (fstat(file, &st) != 0)
        return err_errno(err, "%s", path);
    if (!S_ISREG(st.st_mode))
        return err_set(err, ERR_INPUT, "is not a regular file");
    if (st.st_nlink > 1)
        return err_set(err, ERR_INPUT, "has another name");
    if (st.st_nlink == 0)
        return err_set(err, ERR_MISSING, "it is gone");
    out->size = (uint64_t)st.st_size;
    out->owner = st.st_uid;
    *fd = file;
    file = -1;
    return true;
}
