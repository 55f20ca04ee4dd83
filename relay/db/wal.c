#include "relay/base/mem.h"
#include "relay/db/inside.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/* As https://www.sqlite.org/fileformat2.html#walformat has it. */
enum {
    HEADER = 32,
    SALTS_AT = 16, /* a frame with others is from before the WAL began anew */
    FRAME_HEADER = 24,
    FRAME_SALTS_AT = 8,
    SALTS = 8,
};
static const char magic[] = {0x37, 0x7f, 0x06}; /* and the order of octets */

static bool
fail(const struct db *db, struct err *err)
{
    return err_errno(err, "%s", db->wal.path);
}

/* *whole: they are all there. */
static bool
get(const struct db *db, int fd, char *octets, size_t len, off_t at,
    bool *whole, struct err *err)
{
    ssize_t n = pread(fd, octets, len, at);

    *whole = n == (ssize_t)len;
    return n >= 0 || fail(db, err);
}

static bool
put(const struct db *db, int fd, const char *octets, size_t len, off_t at,
    struct err *err)
{
    errno = ENOSPC; /* of a write that was cut short */
    return pwrite(fd, octets, len, at) == (ssize_t)len || fail(db, err);
}

/* From the header, which is in `octets`, to the last frame of its time. */
static bool
put_all(const struct db *db, int fd, char *octets, size_t frame,
        struct err *err)
{
    char salts[SALTS];
    off_t at = HEADER;
    bool whole;

    memcpy(salts, octets + SALTS_AT, SALTS);
    if (!put(db, fd, octets, HEADER, 0, err) ||
        !get(db, fd, octets, frame, at, &whole, err))
        return false;
    while (whole && memcmp(octets + FRAME_SALTS_AT, salts, SALTS) == 0) {
        if (!put(db, fd, octets, frame, at, err))
            return false;
        at += (off_t)frame;
        if (!get(db, fd, octets, frame, at, &whole, err))
            return false;
    }
    return fdatasync(fd) == 0 || fail(db, err);
}

bool
db_write_wal_again(const struct db *db, struct err *err)
{
    size_t frame = FRAME_HEADER + (size_t)db->page_size;
    scoped(own_free) char *octets = mem_array(char, frame);
    scoped(own_close) int fd = open(db->wal.path, O_RDWR | O_CLOEXEC);
    bool whole;

    if (fd < 0)
        return fail(db, err);
    if (!get(db, fd, octets, HEADER, 0, &whole, err))
        return false;
    if (!whole || memcmp(octets, magic, sizeof(magic)) != 0)
        return true;
    return put_all(db, fd, octets, frame, err);
}
