#include "relay/net/listen.h"

#include "relay/base/mem.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum {
    BACKLOG = 4096,      /* the kernel cuts it to somaxconn */
    ACCEPTS_A_TURN = 64, /* then others on the loop have their turn */
    BREATH_MS = 100,     /* without descriptors or memory */
    UNIX_MODE = 0600,
};

struct net_listen {
    uv_poll_t poll;
    uv_timer_t breath; /* runs while accepting rests */
    int fd;
    int held; /* handles that libuv still holds */
    bool is_closed;
    net_listen_fn *accepted;
    void *ctx;
    char *where;
    bool is_unix;
    const char *path; /* of its file, within `where`; NULL: not ours */
    dev_t device;     /* of that socket's file, so that we remove */
    ino_t inode;      /* our own only */
};

static void readable(uv_poll_t *poll, int status, int events);

static void
go_on(struct net_listen *l)
{
    if (!l->is_closed)
        uv_poll_start(&l->poll, UV_READABLE, readable);
}

static void
breathed(uv_timer_t *timer)
{
    go_on(timer->data);
}

/* What accept reports about the one connection it could not take: the next
 * may be well.  Linux passes network errors of the new socket this way. */
static bool
is_passing(int number)
{
    return number == EINTR || number == ECONNABORTED || number == EPROTO ||
           number == ENETDOWN || number == ENETUNREACH || number == EHOSTDOWN ||
           number == EHOSTUNREACH || number == ENONET ||
           number == ENOPROTOOPT || number == EOPNOTSUPP || number == EPERM;
}

/* Accepts one connection; false when this turn is over. */
static bool
accept_one(struct net_listen *l)
{
    struct sockaddr_storage from = {0};
    socklen_t len = sizeof(from);
    struct addr peer = {0};
    int fd = accept4(l->fd, (struct sockaddr *)&from, &len,
                     SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd < 0 && is_passing(errno))
        return true;
    if (fd < 0) {
        /* A level-triggered poll would spin while the table is full. */
        if (errno != EAGAIN) {
            uv_poll_stop(&l->poll);
            uv_timer_start(&l->breath, breathed, BREATH_MS, 0);
        }
        return false;
    }
    if (!l->is_unix)
        peer = addr_from_sockaddr((struct sockaddr *)&from);
    if (!l->is_unix && peer.any.sa_family == AF_UNSPEC) {
        /* Nobody may pass for a peer on a Unix socket. */
        own_close(&fd);
        return true;
    }
    l->accepted(l->ctx, fd, &peer);
    return !l->is_closed;
}

static void
readable(uv_poll_t *poll, int status, int events)
{
    struct net_listen *l = poll->data;
    int left = ACCEPTS_A_TURN;

    (void)status, (void)events;
    while (left-- > 0 && accept_one(l))
        continue;
}

/* As addr_parse_port, but port 0, "any that is free", is a port as well. */
static bool
parse_where(const char *where, struct addr *out, struct err *err)
{
    struct slice text = slice_of(where);
    struct slice end = slice_from(text, text.len > 2 ? text.len - 2 : text.len);

    return slice_is(end, ":0")
               ? addr_parse(slice_first(text, text.len - 2), out, err)
               : addr_parse_port(text, 0, out, err);
}

static bool
fail_bind(const char *where, struct err *err)
{
    if (errno != EACCES)
        return err_errno(err, "%s", where);
    return err_set(err, ERR_SYSTEM,
                   "%s: a port below 1024 wants root, CAP_NET_BIND_SERVICE, or "
                   "a socket from systemd",
                   where);
}

static bool
open_tcp(struct net_listen *l, const char *where, struct err *err)
{
    struct addr a;
    socklen_t len = sizeof(a);
    char text[ADDR_TEXT_SIZE];
    int yes = 1, no = 0;

    if (!parse_where(where, &a, err))
        return err_in(err, "%s", where);
    l->fd =
        socket(a.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (l->fd < 0)
        return err_errno(err, "%s", where);
    (void)setsockopt(l->fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    if (a.any.sa_family == AF_INET6)
        (void)setsockopt(l->fd, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof(no));
    if (bind(l->fd, &a.any, addr_len(&a)) != 0)
        return fail_bind(where, err);
    if (listen(l->fd, BACKLOG) != 0 || getsockname(l->fd, &a.any, &len) != 0)
        return err_errno(err, "%s", where);
    l->where = mem_text(addr_text_port(&a, text));
    return true;
}

/* Is the file at the address a socket that nobody listens on any more? */
static bool
is_dead(const struct sockaddr_un *a)
{
    struct stat st;
    scoped(own_close) int fd = -1;

    if (lstat(a->sun_path, &st) != 0 || !S_ISSOCK(st.st_mode))
        return false;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    return fd >= 0 && connect(fd, (const void *)a, sizeof(*a)) != 0 &&
           errno == ECONNREFUSED;
}

static bool
bind_unix(int fd, const struct sockaddr_un *a)
{
    if (bind(fd, (const void *)a, sizeof(*a)) == 0)
        return true;
    if (errno != EADDRINUSE)
        return false;
    if (!is_dead(a)) {
        errno = EADDRINUSE;
        return false;
    }
    return unlink(a->sun_path) == 0 &&
           bind(fd, (const void *)a, sizeof(*a)) == 0;
}

static bool
open_unix(struct net_listen *l, const char *where, unsigned mode,
          struct err *err)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    const char *path = where + strlen("unix:");
    struct stat st;

    if (path[0] == '\0' || strlen(path) >= sizeof(a.sun_path))
        return err_set(err, ERR_INPUT,
                       "%s: a socket's path has 1 to %zu characters", where,
                       sizeof(a.sun_path) - 1);
    memcpy(a.sun_path, path, strlen(path));
    l->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (l->fd < 0 || !bind_unix(l->fd, &a))
        return err_errno(err, "%s", where);
    l->where = mem_text(where);
    l->is_unix = true;
    l->path = l->where + strlen("unix:");
    /* Before listen nobody can connect, whatever the umask has allowed. */
    if (lstat(path, &st) != 0 || chmod(path, mode ? mode : UNIX_MODE) != 0 ||
        listen(l->fd, BACKLOG) != 0)
        return err_errno(err, "%s", where);
    l->device = st.st_dev;
    l->inode = st.st_ino;
    return true;
}

static void
remove_own_file(const struct net_listen *l)
{
    struct stat st;

    if (l->path && lstat(l->path, &st) == 0 && st.st_dev == l->device &&
        st.st_ino == l->inode)
        (void)unlink(l->path);
}

static void
release(struct net_listen *l)
{
    own_close(&l->fd);
    free(l->where);
    free(l);
}

static struct net_listen *
new_listen(net_listen_fn *accepted, void *ctx)
{
    struct net_listen *l = mem_new(struct net_listen);

    l->fd = -1;
    l->accepted = accepted;
    l->ctx = ctx;
    return l;
}

static struct net_listen *
begin(struct net_listen *l, uv_loop_t *loop)
{
    int status;

    l->poll.data = l->breath.data = l;
    l->held = 2;
    uv_timer_init(loop, &l->breath);
    status = uv_poll_init(loop, &l->poll, l->fd);
    assert(status == 0);
    go_on(l);
    return l;
}

struct net_listen *
net_listen_open(uv_loop_t *loop, const char *where, unsigned mode,
                net_listen_fn *accepted, void *ctx, struct err *err)
{
    struct net_listen *l = new_listen(accepted, ctx);
    bool is_unix = strncmp(where, "unix:", strlen("unix:")) == 0;

    if (is_unix ? !open_unix(l, where, mode, err) : !open_tcp(l, where, err)) {
        release(l);
        return NULL;
    }
    return begin(l, loop);
}

struct net_listen *
net_listen_adopt(uv_loop_t *loop, int fd, const char *where,
                 net_listen_fn *accepted, void *ctx, struct err *err)
{
    struct net_listen *l = new_listen(accepted, ctx);
    int family = AF_UNSPEC, flags = fcntl(fd, F_GETFL);
    socklen_t len = sizeof(family);

    l->fd = fd;
    l->where = mem_text(where);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0 ||
        getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &len) != 0) {
        err_errno(err, "%s", where);
        release(l);
        return NULL;
    }
    l->is_unix = family == AF_UNIX;
    return begin(l, loop);
}

void
net_listen_own(struct net_listen *l, net_listen_fn *accepted, void *ctx)
{
    l->accepted = accepted;
    l->ctx = ctx;
}

static void
handle_closed(uv_handle_t *handle)
{
    struct net_listen *l = handle->data;

    if (--l->held == 0)
        release(l);
}

void
net_listen_close(struct net_listen **slot)
{
    struct net_listen *l;

    if (!*slot)
        return;
    l = take(slot);
    l->is_closed = true;
    uv_close((uv_handle_t *)&l->breath, handle_closed);
    uv_close((uv_handle_t *)&l->poll, handle_closed);
    own_close(&l->fd);
    remove_own_file(l);
}

const char *
net_listen_where(const struct net_listen *l)
{
    return l->where;
}
