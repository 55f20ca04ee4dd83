#include "relay/cli/smtp_pass.h"

#include "relay/base/buf.h"
#include "relay/cli/smtp_socket.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    HELD_MAX = 256 * 1024, /* octets of stdin that wait for a reply */
    CHUNK_MAX = 1 << 30,   /* octets of a BDAT that are believed */
};

struct pass {
    int fd;
    struct buf in, out; /* from stdin, not passed on; to the relay */
    struct buf line;    /* of a reply, not whole yet */
    bool waits;         /* for a reply; at first for the greeting */
    bool in_data;       /* between 354 and the dot */
    size_t chunk;       /* octets of a BDAT still to come */
    bool in_over, over;
};

/* --- towards the relay --- */

static void
move(struct pass *p, size_t n)
{
    buf_add(&p->out, slice_first(buf_slice(&p->in), n));
    buf_drop(&p->in, n);
}

static void
begin_chunk(struct pass *p, struct slice line)
{
    unsigned long long n;
    struct slice rest = slice_trim(slice_from(line, 5));

    if (slice_number(slice_trim(slice_cut(&rest, ' ')), CHUNK_MAX, &n))
        p->chunk = (size_t)n;
}

static void
pass_line(struct pass *p, size_t len)
{
    struct slice line = slice_first(buf_slice(&p->in), len);

    while (line.len > 0 &&
           (line.p[line.len - 1] == '\n' || line.p[line.len - 1] == '\r'))
        line.len--;
    if (p->in_data && slice_is(line, "."))
        p->in_data = false;
    if (!p->in_data) {
        p->waits = true;
        if (slice_starts_nocase(line, "BDAT "))
            begin_chunk(p, line);
    }
    /* Programs write lines as files have them. */
    buf_add(&p->out, line);
    buf_add_text(&p->out, "\r\n");
    buf_drop(&p->in, len);
}

/* What may go out by now: the rest of a chunk, lines of a message, one
 * command. */
static void
pass_in(struct pass *p)
{
    for (;;) {
        const char *lf;

        if (p->chunk > 0) {
            size_t n = p->chunk < p->in.len ? p->chunk : p->in.len;

            move(p, n);
            p->chunk -= n;
            if (p->chunk > 0)
                return;
        }
        if (p->waits || p->in.len == 0)
            return;
        lf = memchr(p->in.p, '\n', p->in.len);
        if (!lf && !p->in_over && p->in.len < HELD_MAX)
            return;
        pass_line(p, lf ? (size_t)(lf - p->in.p) + 1 : p->in.len);
    }
}

static bool
read_stdin(struct pass *p, struct err *err)
{
    ssize_t n = read(STDIN_FILENO, buf_room(&p->in, 16384), 16384);

    if (n < 0)
        return errno == EINTR || err_errno(err, "stdin");
    p->in.len += (size_t)n;
    p->in_over = n == 0;
    return true;
}

/* --- towards stdout --- */

static bool
write_all(struct slice bytes, struct err *err)
{
    while (bytes.len > 0) {
        ssize_t n = write(STDOUT_FILENO, bytes.p, bytes.len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_errno(err, "stdout");
        bytes = slice_from(bytes, (size_t)n);
    }
    return true;
}

/* A line whose code has no hyphen behind it ends a reply (RFC 5321 section
 * 4.2.1). */
static void
look_at(struct pass *p, struct slice bytes)
{
    for (size_t i = 0; i < bytes.len; i++) {
        const char *line;

        buf_add_byte(&p->line, bytes.p[i]);
        if (bytes.p[i] != '\n')
            continue;
        line = buf_text(&p->line);
        if (p->line.len < 4 || line[3] != '-') {
            p->waits = false;
            p->in_data = strncmp(line, "354", 3) == 0;
        }
        buf_clear(&p->line);
    }
}

static bool
read_relay(struct pass *p, struct err *err)
{
    char piece[16384];
    ssize_t n = recv(p->fd, piece, sizeof(piece), 0);
    struct slice bytes = {piece, n > 0 ? (size_t)n : 0};

    if (n < 0)
        return errno == EINTR || err_errno(err, "the relay");
    p->over = n == 0;
    look_at(p, bytes);
    return write_all(bytes, err);
}

/* --- both --- */

static bool
turn(struct pass *p, struct err *err)
{
    bool wants_in = !p->in_over && p->in.len < HELD_MAX;
    struct pollfd wait[] = {
        {.fd = wants_in ? STDIN_FILENO : -1, .events = POLLIN},
        {.fd = p->fd, .events = POLLIN},
    };

    if (poll(wait, 2, -1) < 0)
        return errno == EINTR || err_errno(err, "poll");
    if (wait[1].revents && !read_relay(p, err))
        return false;
    if (!p->over && wait[0].revents && !read_stdin(p, err))
        return false;
    pass_in(p);
    return p->over || cli_smtp_send(p->fd, &p->out, err);
}

bool
cli_smtp_pass(int fd, struct err *err)
{
    struct pass p = {.fd = fd, .waits = true};
    bool told = false, ok = true;

    while (ok && !p.over) {
        ok = turn(&p, err);
        if (ok && p.in_over && !p.waits && p.in.len == 0 && !told) {
            told = true;
            (void)shutdown(fd, SHUT_WR);
        }
    }
    buf_free(&p.in);
    buf_free(&p.out);
    buf_free(&p.line);
    return ok;
}
