#include "relay/daemon/process.h"

#include "relay/daemon/directory.h"
#include "relay/guard/gate.h"

#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

unsigned
process_client_limit(void)
{
    struct rlimit files;
    rlim_t room;

    if (getrlimit(RLIMIT_NOFILE, &files) != 0)
        return GATE_ALL_MAX / 2;
    files.rlim_cur = files.rlim_max < 65536 ? files.rlim_max : 65536;
    (void)setrlimit(RLIMIT_NOFILE, &files);
    room = files.rlim_cur > PROCESS_FILES_SPARE * 2
               ? files.rlim_cur - PROCESS_FILES_SPARE
               : files.rlim_cur / 2;
    return room < GATE_ALL_MAX ? (unsigned)room : GATE_ALL_MAX;
}

/* The user could not make these, where only root may. */
static bool
make_directories(const struct config *c, const struct passwd *pw,
                 struct err *err)
{
    const struct directory_owner owner = {pw->pw_uid, pw->pw_gid};

    return directory_make(c->state_directory, 0700, &owner, err) &&
           directory_make_for(c->control.socket, 0755, &owner, err) &&
           (!c->maildrop.enabled ||
            directory_make(c->maildrop.directory, 0700, &owner, err));
}

/* Bound as root, they are for the user to speak at and to remove; one that
 * somebody else made for us is as it was meant. */
static bool
give_socket(const char *path, const struct passwd *pw, struct err *err)
{
    struct stat st;

    if (lstat(path, &st) == 0 &&
        (st.st_uid != 0 || lchown(path, pw->pw_uid, pw->pw_gid) == 0))
        return true;
    return err_errno(err, "%s", path);
}

static bool
give_sockets(const struct config *c, const struct passwd *pw, struct err *err)
{
    static const char unix_socket[] = "unix:";
    const size_t len = sizeof(unix_socket) - 1;

    for (size_t i = 0; i < c->listener_count; i++) {
        const char *where = c->listener[i].address;

        if (strncmp(where, unix_socket, len) == 0 &&
            !give_socket(where + len, pw, err))
            return false;
    }
    return true;
}

bool
process_become(const struct config *c, struct err *err)
{
    const char *user = c->user;
    const struct passwd *pw;

    if (!*user || geteuid() != 0)
        return true;
    pw = getpwnam(user);
    if (!pw)
        return err_set(err, ERR_INPUT, "user: there is no user \"%s\"", user);
    if (!make_directories(c, pw, err) || !give_sockets(c, pw, err))
        return false;
    if (initgroups(user, pw->pw_gid) != 0 || setgid(pw->pw_gid) != 0 ||
        setuid(pw->pw_uid) != 0)
        return err_errno(err, "user: can't become \"%s\"", user);
    if (pw->pw_uid != 0 && setuid(0) == 0)
        return err_set(err, ERR_SYSTEM, "user: root could be had back");
    return true;
}

void
process_harden(void)
{
    struct rlimit none = {0};

    (void)umask(077);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGUSR1, SIG_IGN); /* whoever rotates logs may send them */
    (void)signal(SIGUSR2, SIG_IGN);
    (void)signal(SIGXFSZ, SIG_IGN);
    (void)setrlimit(RLIMIT_CORE, &none); /* mail and keys are in memory */
    (void)prctl(PR_SET_DUMPABLE, 0);
    (void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}
