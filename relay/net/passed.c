#include "relay/net/passed.h"

#include "relay/base/addr.h"
#include "relay/base/buf.h"
#include "relay/base/mem.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

enum { FIRST_FD = 3 }; /* SD_LISTEN_FDS_START */

static const char prefix[] = "systemd:";
static const char unix_prefix[] = "unix:";

static char *
text_of_unix(const struct sockaddr_un *a, socklen_t len)
{
    size_t most = len - offsetof(struct sockaddr_un, sun_path);

    if (len <= offsetof(struct sockaddr_un, sun_path))
        return mem_text("unix:");
    if (a->sun_path[0] == '\0')
        return mem_printf("unix:@%.*s", (int)(most - 1), a->sun_path + 1);
    return mem_printf("unix:%.*s", (int)strnlen(a->sun_path, most),
                      a->sun_path);
}

/* NULL: it is none that one can listen at. */
static char *
find_where(int fd)
{
    struct sockaddr_storage ss = {0};
    socklen_t len = sizeof(ss), size = sizeof(int);
    int type = 0, listens = 0;
    char text[ADDR_TEXT_SIZE];
    struct addr a;

    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) != 0 ||
        getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) != 0 ||
        type != SOCK_STREAM || !listens ||
        getsockname(fd, (struct sockaddr *)&ss, &len) != 0)
        return NULL;
    if (ss.ss_family == AF_UNIX)
        return text_of_unix((const struct sockaddr_un *)&ss, len);
    a = addr_from_sockaddr((const struct sockaddr *)&ss);
    return a.any.sa_family == AF_UNSPEC ? NULL
                                        : mem_text(addr_text_port(&a, text));
}

static bool
open_one(struct net_passed *p, int fd, struct slice name, struct err *err)
{
    struct net_passed_socket *s = &p->list[p->count];

    s->fd = -1;
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
        return err_errno(err, "LISTEN_FDS: descriptor %d", fd);
    s->where = find_where(fd);
    if (!s->where)
        return err_set(err, ERR_INPUT,
                       "LISTEN_FDS: descriptor %d is no stream socket that "
                       "listens",
                       fd);
    s->fd = fd;
    s->name = mem_copy(name);
    p->count++;
    return true;
}

/* Is the number in this variable there, and ours? */
static bool
is_for_us(void)
{
    const char *text = getenv("LISTEN_PID");
    unsigned long long pid;

    return text && slice_number(slice_of(text), INT_MAX, &pid) &&
           (pid_t)pid == getpid();
}

static bool
open_all(struct net_passed *p, struct err *err)
{
    const char *fds = getenv("LISTEN_FDS");
    const char *names = getenv("LISTEN_FDNAMES");
    struct slice rest = slice_of(names ? names : "");
    unsigned long long count;

    if (!fds || !slice_number(slice_of(fds), NET_PASSED_MAX, &count))
        return err_set(err, ERR_INPUT,
                       "LISTEN_FDS is not a number from 0 to %d",
                       NET_PASSED_MAX);
    p->list = mem_array(struct net_passed_socket, count + 1);
    for (int i = 0; i < (int)count; i++) {
        struct slice name = slice_cut(&rest, ':');

        if (!open_one(p, FIRST_FD + i, name, err))
            return false;
    }
    return true;
}

bool
net_passed_open(struct net_passed *p, struct err *err)
{
    bool ok = !is_for_us() || open_all(p, err);

    (void)unsetenv("LISTEN_PID");
    (void)unsetenv("LISTEN_FDS");
    (void)unsetenv("LISTEN_FDNAMES");
    return ok;
}

void
net_passed_done(struct net_passed *p)
{
    for (size_t i = 0; i < p->count; i++) {
        own_close(&p->list[i].fd);
        free(p->list[i].name);
        free(p->list[i].where);
    }
    free(p->list);
    *p = (struct net_passed){0};
}

const char *
net_passed_name(const char *address)
{
    return strncmp(address, prefix, sizeof(prefix) - 1) == 0
               ? address + sizeof(prefix) - 1
               : NULL;
}

/* The same address may be written in more than one way. */
static bool
is_at(const struct net_passed_socket *s, const char *address)
{
    char text[ADDR_TEXT_SIZE];
    struct addr a;
    struct err err;

    if (strncmp(address, unix_prefix, sizeof(unix_prefix) - 1) == 0)
        return strcmp(s->where, address) == 0;
    return addr_parse_port(slice_of(address), 0, &a, &err) &&
           strcmp(s->where, addr_text_port(&a, text)) == 0;
}

static bool
is_meant(const struct net_passed_socket *s, const char *address)
{
    const char *name = net_passed_name(address);

    return name ? strcmp(s->name, name) == 0 : is_at(s, address);
}

size_t
net_passed_count(const struct net_passed *p, const char *address)
{
    size_t count = 0;

    for (size_t i = 0; i < p->count; i++)
        count += is_meant(&p->list[i], address);
    return count;
}

int
net_passed_take(struct net_passed *p, const char *address, size_t i)
{
    for (size_t j = 0; j < p->count; j++) {
        struct net_passed_socket *s = &p->list[j];

        if (!is_meant(s, address) || i-- > 0)
            continue;
        s->is_taken = true;
        return fcntl(s->fd, F_DUPFD_CLOEXEC, FIRST_FD);
    }
    return -1;
}
