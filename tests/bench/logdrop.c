/*
 * tests/bench/logdrop - a syslog socket that reads and drops, so that whoever
 * logs by syslog pays for sending a line, as with a real syslogd, and not for
 * a missing socket.
 *
 *     logdrop PATH
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

int
main(int argc, char **argv)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    char line[65536];
    int room = 8 << 20;

    if (argc != 2 || strlen(argv[1]) >= sizeof(at.sun_path)) {
        (void)fprintf(stderr, "usage: logdrop PATH\n");
        return 2;
    }
    memcpy(at.sun_path, argv[1], strlen(argv[1]));
    if (bind(fd, (const struct sockaddr *)&at, sizeof(at)) != 0 ||
        chmod(argv[1], 0666) != 0) {
        perror(argv[1]);
        return 1;
    }
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
    while (recv(fd, line, sizeof(line), 0) >= 0)
        continue;
    return 1;
}
