/* relay/daemon/filesystem - what kind of file system a directory is on. */
#ifndef RELAY_DAEMON_FILESYSTEM_H
#define RELAY_DAEMON_FILESYSTEM_H

enum filesystem {
    FILESYSTEM_LOCAL,   /* and what could not be told */
    FILESYSTEM_NETWORK, /* its locks can't be trusted */
    FILESYSTEM_MEMORY,  /* gone with the machine's next start */
    FILESYSTEM_OVERLAY, /* of a container: gone with it */
};

enum filesystem filesystem_of(const char *directory);

#endif
