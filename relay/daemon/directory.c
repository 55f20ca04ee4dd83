#include "relay/daemon/directory.h"

#include "relay/base/mem.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool
make_one(const char *path, mode_t mode, const struct directory_owner *owner,
         struct err *err)
{
    if (mkdir(path, mode) == 0) {
        if (!owner || lchown(path, owner->uid, owner->gid) == 0)
            return true;
        return err_errno(err, "%s: can't be given to its user", path);
    }
    return errno == EEXIST || err_errno(err, "%s: can't be made", path);
}

static bool
exists(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0;
}

bool
directory_make(const char *path, mode_t mode,
               const struct directory_owner *owner, struct err *err)
{
    char *part scoped(own_free) = mem_text(path);
    struct stat st;

    for (char *p = part + 1; part[0] != '\0' && *p != '\0'; p++) {
        bool ok;

        if (*p != '/')
            continue;
        *p = '\0';
        ok = exists(part) || make_one(part, 0755, owner, err);
        *p = '/';
        if (!ok)
            return false;
    }
    if (!exists(path) && !make_one(path, mode, owner, err))
        return false;
    if (stat(path, &st) != 0)
        return err_errno(err, "%s", path);
    return S_ISDIR(st.st_mode) ||
           err_set(err, ERR_INPUT, "%s: not a directory", path);
}

bool
directory_make_for(const char *file, mode_t mode,
                   const struct directory_owner *owner, struct err *err)
{
    const char *slash = strrchr(file, '/');
    char *path scoped(own_free) = NULL;

    if (!slash || slash == file)
        return true;
    path = mem_copy((struct slice){file, (size_t)(slash - file)});
    return directory_make(path, mode, owner, err);
}
