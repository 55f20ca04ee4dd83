/*
 * relay/daemon/tls_courier - takes the report of one day and policy domain to
 * where that domain wants it (RFC 8460 sections 3 and 5).
 *
 * Asks for the TLSRPT record, posts to its https places, and puts a mail for
 * its mailto places into the queue.  A report that any place has taken, or that
 * nobody wants, is no longer kept.  Main thread.
 */
#ifndef RELAY_DAEMON_TLS_COURIER_H
#define RELAY_DAEMON_TLS_COURIER_H

#include "relay/daemon/relay.h"
#include "relay/net/dns.h"
#include "relay/net/tls.h"

struct tls_courier;

struct tls_courier_job {
    struct relay *relay;
    struct net_dns *dns; /* of the main loop, like the next */
    struct net_tls *tls;
    const char *key;    /* in TLS_RESULT_SHELF */
    struct slice count; /* its value */
};

enum tls_courier_end {
    TLS_COURIER_SENT,
    TLS_COURIER_UNWANTED,
    TLS_COURIER_FAILED, /* try again later */
};

typedef void tls_courier_fn(void *ctx, enum tls_courier_end end);

/* Copies the key and the count.  The rules of relay/net/dial.h hold. */
void tls_courier_start(struct tls_courier **slot,
                       const struct tls_courier_job *job, tls_courier_fn *done,
                       void *ctx);
/* What has been given to the store still happens. */
void tls_courier_cancel(struct tls_courier **slot);

#endif
