/*
 * relay/daemon/account - who we are at the providers that routes lead to.
 *
 * One account for each route with AUTH, made anew by each reload.  An order
 * for such a route goes through here on its way to a worker: it gets a
 * credential, waits for one that is being fetched, or is given back because
 * there is none to be had.
 *
 *     order -> admit -> GO      with a credential, at once
 *                  \--> parked, until there is one          -> dispatch_go
 *                   \-> held: no worker would get any further -> dispatch_hold
 *
 * A provider that does not take the credential holds the route (REPORT_HELD):
 * its mail stays, however long that takes, and is tried again with growing
 * waits, after a reload, and when a file with a secret changes.  A token that
 * is refused is replaced by a new one first, once.
 *
 * Main thread.
 */
#ifndef RELAY_DAEMON_ACCOUNT_H
#define RELAY_DAEMON_ACCOUNT_H

#include "queue/scheduler.h"
#include "relay/daemon/credential.h"
#include "relay/daemon/relay.h"

struct accounts;

/* The relay's dispatch must be there. */
struct accounts *accounts_new(struct relay *relay);
void accounts_free(struct accounts **a);
/* The configuration changed: everything is looked at anew. */
void accounts_configure(struct accounts *a);
/* Nothing is fetched any more; orders that waited go on without. */
void accounts_drain(struct accounts *a);

/* True: the order may go, with *out (NULL: its route has no AUTH).  False: it
 * is taken care of. */
bool accounts_admit(struct accounts *a, struct queue_order *order,
                    struct credential **out);

/* What a delivery to a destination has found out.  `number`: of the
 * credential; 0: it had none.  `why`: for people. */
void accounts_reached(struct accounts *a, const char *destination);
void accounts_refused(struct accounts *a, const char *destination,
                      uint64_t number, const char *why);

enum account_state { ACCOUNT_GOOD, ACCOUNT_WAITS, ACCOUNT_HELD };

struct account_row {
    const char *route, *user;
    enum account_state state;
    const char *why;    /* HELD; or why a token that still lives could not be
                           renewed; else NULL */
    bool has_token;     /* it is one that has to be renewed */
    int64_t expires_ms; /* then, steady clock; 0: there is none */
};
typedef void account_fn(void *ctx, const struct account_row *row);
void accounts_each(const struct accounts *a, account_fn *row, void *ctx);

const char *account_state_name(enum account_state state); /* "good" */

#endif
