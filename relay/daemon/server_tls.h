/*
 * relay/daemon/server_tls - the TLS contexts of the listeners, for one worker.
 *
 * The main thread reads the files once and makes a set for each worker, so that
 * all show the same, and a worker has nothing to do that could fail.
 */
#ifndef RELAY_DAEMON_SERVER_TLS_H
#define RELAY_DAEMON_SERVER_TLS_H

#include "relay/config/config.h"
#include "relay/net/tls.h"

/* The contexts of one worker. */
struct server_tls;

enum { SERVER_TLS_FILES_MAX = 32 }; /* whose ends are known one by one */

struct server_tls_end {
    char file[256];
    int64_t not_after; /* Unix seconds */
};

/* What was read. */
struct server_tls_facts {
    int64_t not_after; /* the first end of a certificate, Unix seconds; 0:
                          there is none */
    char file[256];    /* whose that is */
    struct server_tls_end end[SERVER_TLS_FILES_MAX];
    size_t count;
    uint64_t stamp; /* of the files before they were read */
};

/* Puts one set for each of `count` workers into `out`, or none.  The error
 * names the key and the file. */
bool server_tls_load(const struct config *c, struct server_tls **out,
                     unsigned count, struct server_tls_facts *facts,
                     struct err *err) must_use;
/* Could it be loaded? */
bool server_tls_check(const struct config *c, struct err *err) must_use;

void server_tls_free(struct server_tls **set);
void server_tls_free_all(struct server_tls **sets, unsigned count);

/* NULL: the listener has no TLS, or there is no such listener. */
struct net_tls *server_tls_find(const struct server_tls *set,
                                const char *listener);

/* Another number as soon as one of the files is another, or written to. */
uint64_t server_tls_stamp(const struct config *c);

/* Calls `look` with every file that would be read. */
void server_tls_files(const struct config *c,
                      void (*look)(void *ctx, const char *file), void *ctx);

#endif
