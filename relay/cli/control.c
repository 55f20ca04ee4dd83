#include "relay/cli/control.h"

#include "relay/base/mem.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static bool
open_socket(const char *path, int *out, struct err *err)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    struct timeval wait = {.tv_sec = CLI_CONTROL_WAIT_S};
    int fd scoped(own_close) = -1;

    if (strlen(path) >= sizeof(to.sun_path))
        return err_set(err, ERR_INPUT, "%s: too long for a socket", path);
    memcpy(to.sun_path, path, strlen(path) + 1);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return err_errno(err, "socket");
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
    if (connect(fd, (const struct sockaddr *)&to, sizeof(to)) != 0) {
        bool is_missing =
            errno == ENOENT || errno == ECONNREFUSED || errno == ENOTDIR;

        (void)err_errno(err, "%s", path);
        err->kind = is_missing ? ERR_MISSING : ERR_SYSTEM;
        return false;
    }
    *out = fd;
    fd = -1;
    return true;
}

static bool
send_all(int fd, struct slice bytes, struct err *err)
{
    while (bytes.len > 0) {
        ssize_t n = send(fd, bytes.p, bytes.len, MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_errno(err, "the relay takes no request");
        bytes = slice_from(bytes, (size_t)n);
    }
    return true;
}

static bool
read_answer(int fd, struct cli_reader *r, struct err *err)
{
    bool whole = false;

    while (!whole) {
        char piece[16384];
        ssize_t n = recv(fd, piece, sizeof(piece), 0);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_errno(err, "the relay does not answer");
        if (n == 0)
            return cli_reader_end(r, err);
        if (!cli_reader_feed(r, (struct slice){piece, (size_t)n}, &whole, err))
            return false;
    }
    return true;
}

static void
add_request(struct buf *out, const char *method, const char *target,
            const char *body)
{
    buf_printf(out, "%s %s HTTP/1.1\r\nHost: localhost\r\n", method, target);
    buf_add_text(out, "Connection: close\r\n");
    if (body)
        buf_printf(out, "Content-Type: application/json\r\n");
    if (body || strcmp(method, "GET") != 0)
        buf_printf(out, "Content-Length: %zu\r\n", body ? strlen(body) : 0);
    buf_printf(out, "\r\n%s", body ? body : "");
}

bool
cli_control_ask(const char *socket_path, const char *method, const char *target,
                const char *body, struct cli_answer *out, struct err *err)
{
    struct buf request scoped(buf_free) = {0};
    struct cli_reader *reader scoped(cli_reader_free) = NULL;
    int fd scoped(own_close) = -1;

    *out = (struct cli_answer){0};
    if (!open_socket(socket_path, &fd, err))
        return false;
    add_request(&request, method, target, body);
    reader = cli_reader_new(out);
    if (!send_all(fd, buf_slice(&request), err) ||
        !read_answer(fd, reader, err)) {
        cli_answer_done(out);
        return false;
    }
    return true;
}

bool
cli_control_open(const char *socket_path, const char *method,
                 const char *target, int *fd, struct err *err)
{
    struct buf request scoped(buf_free) = {0};

    if (!open_socket(socket_path, fd, err))
        return false;
    add_request(&request, method, target, NULL);
    return send_all(*fd, buf_slice(&request), err);
}

void
cli_answer_done(struct cli_answer *a)
{
    buf_free(&a->body);
}

void
cli_url_add(struct buf *url, const char *text)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                "abcdefghijklmnopqrstuvwxyz0123456789-._~@";

    for (; *text; text++) {
        if (strchr(plain, *text))
            buf_add_byte(url, *text);
        else
            buf_printf(url, "%%%02X", (unsigned char)*text);
    }
}
