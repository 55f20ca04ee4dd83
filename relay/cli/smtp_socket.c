#include "relay/cli/smtp_socket.h"

#include "relay/base/addr.h"
#include "relay/base/mem.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/un.h>
#include <unistd.h>

#define DEFAULT_WHERE "127.0.0.1:2525"

static bool
is_unix(const char *address)
{
    return strncmp(address, "unix:", 5) == 0;
}

static char *
choose(const struct config *c, bool is_private)
{
    const char *given = getenv("SEALPOST_SMTP");

    if (given && *given)
        return mem_text(given);
    for (size_t i = 0; c && i < c->listener_count; i++) {
        const struct config_listener *l = &c->listener[i];
        bool in_clear =
            l->tls == CONFIG_TLS_NONE || l->tls == CONFIG_TLS_STARTTLS;

        if (in_clear && (is_unix(l->address) || !is_private))
            return mem_text(l->address);
    }
    return mem_text(DEFAULT_WHERE);
}

/* A listener on every address is reached on this host's own. */
static void
make_reachable(struct addr *a)
{
    if (a->any.sa_family == AF_INET && a->v4.sin_addr.s_addr == INADDR_ANY)
        a->v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (a->any.sa_family == AF_INET6 &&
        IN6_IS_ADDR_UNSPECIFIED(&a->v6.sin6_addr))
        a->v6.sin6_addr = in6addr_loopback;
}

static bool
connect_to(const struct sockaddr *to, socklen_t len, int *out, struct err *err)
{
    struct timeval limit = {.tv_sec = CLI_SMTP_CONNECT_S};
    int fd scoped(own_close) =
        socket(to->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return err_errno(err, "socket");
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
    if (connect(fd, to, len) != 0)
        return err_errno(err, "connect");
    *out = fd;
    fd = -1;
    return true;
}

static bool
connect_unix(const char *path, int *fd, struct err *err)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};

    if (strlen(path) >= sizeof(to.sun_path))
        return err_set(err, ERR_INPUT, "too long for a socket");
    memcpy(to.sun_path, path, strlen(path) + 1);
    return connect_to((const struct sockaddr *)&to, sizeof(to), fd, err);
}

bool
cli_smtp_open(const struct config *c, bool is_private, int *fd, char **where,
              struct err *err)
{
    struct addr to;

    *where = choose(c, is_private);
    if (is_unix(*where))
        return connect_unix(*where + 5, fd, err);
    if (is_private)
        return err_set(err, ERR_MISSING, "there is no Unix socket to speak by");
    if (!addr_parse_port(slice_of(*where), 25, &to, err))
        return false;
    make_reachable(&to);
    return connect_to(&to.any, addr_len(&to), fd, err);
}

bool
cli_smtp_send(int fd, struct buf *out, struct err *err)
{
    size_t sent = 0;

    while (sent < out->len) {
        ssize_t n = send(fd, out->p + sent, out->len - sent, MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_errno(err, "the relay takes no more");
        sent += (size_t)n;
    }
    buf_clear(out);
    return true;
}
