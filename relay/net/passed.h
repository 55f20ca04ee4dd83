/*
 * relay/net/passed - listening sockets that were open before we were: systemd
 * binds them and passes them on (sd_listen_fds(3)).
 *
 * They stay open for the life of the process: who listens there gets a
 * descriptor of his own, and may come back for another.
 */
#ifndef RELAY_NET_PASSED_H
#define RELAY_NET_PASSED_H

#include "relay/base/err.h"
#include "relay/base/own.h"

#include <stdbool.h>
#include <stddef.h>

enum { NET_PASSED_MAX = 1000 };

struct net_passed_socket {
    int fd;
    char *name;  /* several may have the same */
    char *where; /* "127.0.0.1:25", "[::]:25", "unix:/run/x.sock" */
    bool is_taken;
};

/* Zeroed: none. */
struct net_passed {
    struct net_passed_socket *list;
    size_t count;
};

/* Takes LISTEN_FDS out of the environment, where it is meant for this process.
 * Before the first thread. */
bool net_passed_open(struct net_passed *p, struct err *err) must_use;
void net_passed_done(struct net_passed *p);

/* The name in "systemd:NAME"; NULL: that is another address. */
const char *net_passed_name(const char *address);

/* How many are meant by an address: by their name, or by where they are. */
size_t net_passed_count(const struct net_passed *p, const char *address);

/* A descriptor of one of them, the caller's to close. */
int net_passed_take(struct net_passed *p, const char *address, size_t i);

#endif
