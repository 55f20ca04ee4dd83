#include "relay/daemon/filesystem.h"

#include <linux/magic.h>
#include <stddef.h>
#include <sys/vfs.h>

static const struct kind {
    unsigned long magic;
    enum filesystem kind;
} kinds[] = {
    {NFS_SUPER_MAGIC, FILESYSTEM_NETWORK},
    {SMB_SUPER_MAGIC, FILESYSTEM_NETWORK},
    {0xFF534D42 /* CIFS */, FILESYSTEM_NETWORK},
    {0xFE534D42 /* SMB2 */, FILESYSTEM_NETWORK},
    {V9FS_MAGIC, FILESYSTEM_NETWORK},
    {AFS_SUPER_MAGIC, FILESYSTEM_NETWORK},
    {CEPH_SUPER_MAGIC, FILESYSTEM_NETWORK},
    {TMPFS_MAGIC, FILESYSTEM_MEMORY},
    {RAMFS_MAGIC, FILESYSTEM_MEMORY},
    {OVERLAYFS_SUPER_MAGIC, FILESYSTEM_OVERLAY},
};

enum filesystem
filesystem_of(const char *directory)
{
    struct statfs fs;

    if (statfs(directory, &fs) != 0)
        return FILESYSTEM_LOCAL;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if ((unsigned long)fs.f_type == kinds[i].magic)
            return kinds[i].kind;
    return FILESYSTEM_LOCAL;
}
