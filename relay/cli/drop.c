#include "relay/cli/drop.h"

#include "relay/base/buf.h"
#include "relay/base/mem.h"
#include "relay/cli/letter.h"
#include "relay/daemon/maildrop_scan.h"
#include "smtp/client.h"
#include "smtp/request.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* A message that is written, or being written. */
struct drop {
    int directory; /* for names in it; not to be read */
    struct stat where;
    char ready[MAILDROP_NAME_MAX + 1];
    char fresh[MAILDROP_NAME_MAX + sizeof(MAILDROP_NEW)];
    int fd;
};

/* The relay understands all of it. */
static const struct smtp_capability everything = {.size = true,
                                                  .eightbitmime = true,
                                                  .smtputf8 = true,
                                                  .dsn = true,
                                                  .chunking = true,
                                                  .pipelining = true,
                                                  .requiretls = true};

static void
write_head(const char *our_name, const struct mail_envelope *e, size_t first,
           size_t count, struct slice message, struct buf *out)
{
    size_t rcpt[CLI_DROP_RCPT_MAX];
    struct smtp_client_mail mail = {
        .envelope = e,
        .rcpt = rcpt,
        .rcpt_count = count,
        .size = message.len,
        .has_8bit = cli_letter_has_8bit(message),
    };

    for (size_t i = 0; i < count; i++)
        rcpt[i] = first + i;
    buf_printf(out, "EHLO %s\r\n", our_name);
    smtp_request_add_mail(&everything, &mail, out);
    for (size_t i = 0; i < count; i++)
        smtp_request_add_rcpt(&everything, &e->rcpt[first + i], out);
    buf_printf(out, "BDAT %zu LAST\r\n", message.len);
}

/* Nobody can guess a name, and so nobody else can open a file by it where the
 * directory can't be listed. */
static void
choose_names(struct drop *d)
{
    struct timespec now;
    uint64_t ms;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
    (void)snprintf(d->ready, sizeof(d->ready),
                   "%012" PRIx64 "-%08" PRIx32 "%08" PRIx32 MAILDROP_READY, ms,
                   arc4random(), arc4random());
    (void)snprintf(d->fresh, sizeof(d->fresh), MAILDROP_NEW "%s", d->ready);
}

/* The relay must be able to read it: as the owner of the directory, as root, or
 * by the group that a directory with the set-group-ID bit hands down. */
static bool
hand_to_relay(struct drop *d, struct err *err)
{
    uid_t relay = d->where.st_uid;
    bool ok;

    if (geteuid() == relay)
        ok = fchmod(d->fd, 0600) == 0;
    else if (geteuid() == 0)
        ok = fchown(d->fd, relay, d->where.st_gid) == 0 &&
             fchmod(d->fd, 0600) == 0;
    else if (d->where.st_mode & S_ISGID)
        ok = fchmod(d->fd, 0640) == 0;
    else
        return err_set(err, ERR_INPUT,
                       "the relay could not read it: the directory lacks the "
                       "set-group-ID bit (chmod g+s)");
    return ok || err_errno(err, "the relay can't be given the file");
}

static bool
create(struct drop *d, struct err *err)
{
    choose_names(d);
    d->fd = openat(d->directory, d->fresh,
                   O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (d->fd < 0)
        return err_errno(err, "can't be written");
    return hand_to_relay(d, err);
}

static bool
write_all(int fd, struct slice bytes, struct err *err)
{
    while (bytes.len > 0) {
        ssize_t n = write(fd, bytes.p, bytes.len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_errno(err, "can't be written");
        bytes = slice_from(bytes, (size_t)n);
    }
    return true;
}

static bool
fill(struct drop *d, struct slice head, struct slice message, struct err *err)
{
    return write_all(d->fd, head, err) && write_all(d->fd, message, err) &&
           (fsync(d->fd) == 0 || err_errno(err, "can't be synced"));
}

/* Gives it its name for good.  A directory that may not be read can't be
 * synced; the file itself is synced once more then, which on the filesystems
 * of Linux brings its name along. */
static bool
publish(struct drop *d, struct err *err)
{
    int all scoped(own_close) =
        openat(d->directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (renameat(d->directory, d->fresh, d->directory, d->ready) != 0)
        return err_errno(err, "can't be renamed");
    return fsync(all >= 0 ? all : d->fd) == 0 ||
           err_errno(err, "can't be synced");
}

static bool
open_directory(const char *path, int *fd, struct stat *st, struct err *err)
{
    *fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (*fd < 0 || fstat(*fd, st) != 0)
        return err_errno(err, "%s", path);
    return true;
}

static bool
write_file(struct drop *d, const char *our_name, const struct mail_envelope *e,
           size_t first, struct slice message, struct err *err)
{
    struct buf head scoped(buf_free) = {0};
    size_t left = e->rcpt_count - first;
    size_t count = left < CLI_DROP_RCPT_MAX ? left : CLI_DROP_RCPT_MAX;

    write_head(our_name, e, first, count, message, &head);
    return create(d, err) && fill(d, buf_slice(&head), message, err);
}

/* Those that were not renamed go. */
static void
clean_up(struct drop *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (list[i].fd >= 0)
            (void)unlinkat(list[i].directory, list[i].fresh, 0);
        own_close(&list[i].fd);
    }
    free(list);
}

bool
cli_drop(const char *directory, const char *our_name,
         const struct mail_envelope *e, struct slice message, char **path,
         struct err *err)
{
    size_t count = (e->rcpt_count + CLI_DROP_RCPT_MAX - 1) / CLI_DROP_RCPT_MAX;
    int fd scoped(own_close) = -1;
    struct drop *list;
    struct stat where;
    bool ok = true;

    if (count > CLI_DROP_FILES_MAX)
        return err_set(err, ERR_LIMIT, "too many recipients");
    if (!open_directory(directory, &fd, &where, err))
        return false;
    list = mem_array(struct drop, count);
    for (size_t i = 0; i < count; i++)
        list[i] = (struct drop){.directory = fd, .where = where, .fd = -1};
    for (size_t i = 0; ok && i < count; i++)
        ok = write_file(&list[i], our_name, e, i * CLI_DROP_RCPT_MAX, message,
                        err);
    for (size_t i = 0; ok && i < count; i++)
        ok = publish(&list[i], err);
    if (ok)
        *path = mem_printf("%s/%s", directory, list[0].ready);
    clean_up(list, count);
    return ok || err_in(err, "%s", directory);
}
