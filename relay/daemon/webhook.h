/*
 * relay/daemon/webhook - one webhook: who is told, in order and at least once,
 * what became of mail.
 *
 * What there is to tell waits in the store, in a feed of the webhook's name,
 * from the moment that it is so: neither a crash nor a receiver that is away
 * loses any of it.  A body is read out of it, posted, and once the receiver has
 * it the rows go; a body that was refused is posted again under the same id,
 * at growing intervals.  What is older than a day, or more than the feed holds,
 * is given up, and that is said.
 *
 * Main thread.
 */
#ifndef RELAY_DAEMON_WEBHOOK_H
#define RELAY_DAEMON_WEBHOOK_H

#include "relay/daemon/relay.h"
#include "relay/net/dns.h"

enum {
    WEBHOOK_KEEP_MS = 24 * 60 * 60 * 1000, /* then it is given up */
    WEBHOOK_GATHER_MS = 200, /* between bodies that are not full */
    WEBHOOK_AGAIN_MS = 1000, /* behind the first failure; then twice as long */
    WEBHOOK_AGAIN_MAX_MS = 10 * 60 * 1000,
    WEBHOOK_TRIM_MS = 60 * 1000, /* between looks for what is too old */
};

struct webhook;

struct webhook *webhook_new(struct relay *relay, const char *name);
void webhook_free(struct webhook **h);

/* As the configuration is now; both outlive the hook, or the next call of this.
 * `dns` NULL: the host is loopback.  ERR_INPUT: its trust anchors can't be
 * read. */
bool webhook_configure(struct webhook *h, const struct config_webhook *config,
                       struct net_dns *dns, struct err *err) must_use;
/* Nothing of the configuration or `dns` is looked at until the next
 * webhook_configure. */
void webhook_pause(struct webhook *h);

/* So many results are waiting. */
void webhook_stock(struct webhook *h, uint64_t count);
/* One more is. */
void webhook_more(struct webhook *h);

const char *webhook_name(const struct webhook *h);

struct webhook_state {
    const char *name;
    uint64_t backlog;  /* results that wait to be told */
    unsigned failures; /* in a row */
    const char *why;   /* of the last; "" none */
    int64_t next_ms;   /* wall clock: when it is tried again; 0: at work, or
                          nothing to do */
    int64_t told_ms;   /* wall clock: when it last took some; 0 never */
};
struct webhook_state webhook_state(const struct webhook *h);

/* How long behind so many failures in a row; `random` is any number. */
int64_t webhook_again_ms(unsigned failures, uint32_t random);

#endif
