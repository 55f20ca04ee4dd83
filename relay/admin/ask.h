/*
 * relay/admin/ask - a request that a worker's resolver has to answer: goes to
 * a worker, waits there for the facts, and comes home with a document.
 */
#ifndef RELAY_ADMIN_ASK_H
#define RELAY_ADMIN_ASK_H

#include "relay/daemon/resolver.h"
#include "relay/mail/domain.h"
#include "relay/net/http_server.h"

#include <jansson.h>

struct admin_ask;

struct admin_ask_kind {
    /* Worker: begins to wait in x->wait; `done` gets x. */
    void (*start)(struct admin_ask *x, resolver_fn *done);
    /* Worker: sets x->found. */
    void (*look)(struct admin_ask *x, const struct policy_facts *facts);
    /* Main thread, before the answer goes out, when there is one; or NULL. */
    void (*home)(struct admin_ask *x);
};

struct admin_ask {
    struct task task;
    const struct admin_ask_kind *kind;
    struct relay *relay;
    struct worker *worker;
    struct net_http_request *request;
    struct mail_domain domain;
    char *from;        /* a query parameter; "" without it */
    char *destination; /* for `start` to set */
    struct resolver_wait *wait;
    json_t *found; /* NULL: the relay ended before it was known */
};

void admin_ask_start(const struct admin_ask_kind *kind, struct relay *relay,
                     struct net_http_request *r, const char *domain);

const char *admin_sts_state_name(enum policy_sts_state state); /* "fresh" */

#endif
