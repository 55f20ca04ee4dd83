/*
 * relay/daemon/router - which destination a recipient waits for, and what is
 * demanded of it here.
 *
 * The destination is what the queue sorts by: the recipient's domain, or
 * "route:NAME" for what a route takes.
 */
#ifndef RELAY_DAEMON_ROUTER_H
#define RELAY_DAEMON_ROUTER_H

#include "relay/base/buf.h"
#include "relay/config/config.h"
#include "relay/mail/envelope.h"

#define ROUTER_PREFIX "route:"

enum { ROUTER_ORIGINALS_MAX = 50 }; /* recipients named in the header section */

/* In mode redirect everything goes to one address, once for each message, our
 * own notices too; where it was first meant to go stays as the original
 * recipient (RFC 3461 section 4.2). */
void router_redirect(const struct config *c, struct mail_envelope *e);

/* In mode redirect: X-Original-To fields with the recipients of an envelope
 * that is not redirected yet. */
void router_add_originals(const struct config *c, const struct mail_envelope *e,
                          struct buf *out);

/* May this recipient get mail in the mode that we are in?  In mode redirect
 * what was queued before has other recipients still. */
bool router_may_mail(const struct config *c, const char *address);

/* A heap string; `from` "" is <>. */
char *router_destination(const struct config *c, const char *from,
                         const char *address, const char *domain);

/* The route of a destination "route:NAME"; NULL for others, and when the
 * configuration has no such route any more (*gone). */
const struct config_route *router_route(const struct config *c,
                                        const char *destination, bool *gone);

/* What the configuration demands of a destination, for the plan; what the mail
 * itself asks for is the caller's to add.  Borrows from both. */
struct policy_inputs router_inputs(const struct config *c,
                                   const char *destination,
                                   const struct policy_facts *facts,
                                   int64_t now_ms);

/* Changes whenever the routes change: what was queued is then sorted anew. A
 * heap string. */
char *router_fingerprint(const struct config *c);

#endif
