#include "relay/cli/password.h"

#include "relay/base/secret.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

enum { LINE_MAX_OCTETS = 4096 };

/* One line, without its end; octet by octet, as what stands behind it may be
 * for somebody else. */
static bool
read_line(struct buf *out, struct err *err)
{
    char c;
    ssize_t n;

    while ((n = read(STDIN_FILENO, &c, 1)) != 0 && c != '\n') {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_errno(err, "the standard input");
        if (out->len == LINE_MAX_OCTETS)
            return err_set(err, ERR_LIMIT, "the password is too long");
        buf_add_byte(out, c);
    }
    if (out->len > 0 && out->p[out->len - 1] == '\r')
        out->len--;
    return true;
}

/* A terminal without echo, until it is given back.  A signal is held up until
 * then: it must not leave the terminal mute. */
struct mute {
    struct termios before;
    sigset_t signals, mask;
    int fd;
};

static bool
begin(struct mute *m, struct err *err)
{
    static const int ends[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP};
    struct termios quiet;

    sigemptyset(&m->signals);
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
        sigaddset(&m->signals, ends[i]);
    (void)sigprocmask(SIG_BLOCK, &m->signals, &m->mask);
    m->fd = signalfd(-1, &m->signals, SFD_CLOEXEC);
    if (m->fd < 0 || tcgetattr(STDIN_FILENO, &m->before) != 0)
        return err_errno(err, "the terminal");
    quiet = m->before;
    quiet.c_lflag &= ~(tcflag_t)ECHO;
    return tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet) == 0 ||
           err_errno(err, "the terminal");
}

static void
end(struct mute *m)
{
    (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &m->before);
    own_close(&m->fd);
    (void)sigprocmask(SIG_SETMASK, &m->mask, NULL);
}

/* False: a signal came first, and is delivered once the terminal is as it
 * was. */
static bool
wait_for_line(const struct mute *m)
{
    struct pollfd fds[] = {{.fd = STDIN_FILENO, .events = POLLIN},
                           {.fd = m->fd, .events = POLLIN}};

    while (poll(fds, 2, -1) < 0 && errno == EINTR)
        continue;
    return !fds[1].revents;
}

static bool
ask(const struct mute *m, const char *prompt, const char *user, struct buf *out,
    struct err *err)
{
    bool is_read;

    (void)fprintf(stderr, "%s %s: ", prompt, user);
    (void)fflush(stderr);
    is_read = wait_for_line(m) ? read_line(out, err)
                               : err_set(err, ERR_CANCELLED, "given up");
    (void)fputc('\n', stderr);
    return is_read;
}

static bool
ask_twice(const char *user, struct buf *out, struct err *err)
{
    scoped(secret_buf_free) struct buf again = {0};
    struct mute m = {.fd = -1};
    bool is_read;

    (void)buf_room(&again, LINE_MAX_OCTETS + 1);
    is_read = begin(&m, err) && ask(&m, "Password of", user, out, err) &&
              ask(&m, "Once more, password of", user, &again, err);
    end(&m);
    if (!is_read)
        return false;
    return (out->len == again.len &&
            (out->len == 0 || memcmp(out->p, again.p, out->len) == 0)) ||
           err_set(err, ERR_INPUT, "the two passwords differ");
}

bool
cli_password_read(const char *user, struct buf *out, struct err *err)
{
    (void)buf_room(out, LINE_MAX_OCTETS + 1);
    return isatty(STDIN_FILENO) ? ask_twice(user, out, err)
                                : read_line(out, err);
}
