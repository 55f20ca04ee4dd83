/*
 * relay/admin/ask - a request that a worker's resolver has to answer: goes to
 * a worker, waits there for the facts, and comes home with a document.
 */
#ifndef RELAY_ADMIN_ASK_H
#define RELAY_ADMIN_ASK_H

#include "policy/plan.h"
#include "relay/daemon/resolver.h"
#include "relay/mail/domain.h"
#include "relay/net/http_server.h"

#include <jansson.h>

struct admin_ask;
struct probe;

struct admin_ask_kind {
    /* Worker: begins to wait in x->wait; `done` gets x.  Or begins something
     * else, whose end calls admin_ask_end. */
    void (*start)(struct admin_ask *x, resolver_fn *done);
    /* Worker: sets x->found; or NULL. */
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
    char *from, *mx;   /* query parameters; "" without them */
    char *destination; /* for `start` to set */
    struct resolver_wait *wait;
    struct probe *probe;
    json_t *found; /* NULL: the relay ended before it was known */
    int status;    /* of the answer with it; 0: 200 */
};

/* Worker: x->found is set, or never will be; x is no longer the caller's. */
void admin_ask_end(struct admin_ask *x);

void admin_ask_start(const struct admin_ask_kind *kind, struct relay *relay,
                     struct net_http_request *r, const char *domain);

/* Words for the parts of a plan. */
const char *admin_plan_name(enum policy_verdict verdict); /* "go" */
/* Why it is not "go", as a reply would say it; else null. */
json_t *admin_plan_status(const struct policy_plan *p);

#endif
