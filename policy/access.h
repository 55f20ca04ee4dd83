/*
 * policy/access - who may relay what, decided by one pure function.
 *
 * Somebody may relay who has authenticated, by a name and a password or by a
 * certificate, or who needs not to: a client of a listed network or of a Unix
 * socket, unless its listener wants everybody to.  Everybody else may not; so
 * no value that was left out opens the relay.
 */
#ifndef POLICY_ACCESS_H
#define POLICY_ACCESS_H

#include "relay/base/addr.h"
#include "relay/mail/address.h"
#include "relay/mail/status.h"

struct policy_access_rules {
    const struct addr_net *networks; /* need no authentication */
    size_t network_count;
    const char *const *sender_domains; /* A-label form; none: any */
    size_t sender_domain_count;
    const char *const *recipient_domains; /* none: any */
    size_t recipient_domain_count;
};

/* Of a listener. */
enum policy_access_auth {
    POLICY_ACCESS_AUTH_OFF,
    POLICY_ACCESS_AUTH_OPTIONAL,
    POLICY_ACCESS_AUTH_REQUIRED, /* of listed networks, too */
};

/* Somebody who has given a name and a password. */
struct policy_access_user {
    const char *const *senders; /* "*" any but the null reverse-path, "<>"
                                   that one, "@domain", "local@domain"; domains
                                   in A-label form.  None: as "*" */
    size_t sender_count;
};

struct policy_access_client {
    const struct addr *peer; /* of family AF_UNSPEC: a Unix socket */
    enum policy_access_auth auth;
    bool has_certificate; /* that was verified, and is good for relaying */
    bool may_show_one;    /* its listener asks for certificates */
    bool needs_tls;       /* before it can log in */
    const struct policy_access_user *user; /* NULL: nobody has logged in */
};

/* May this client send from this reverse-path ("" is the null one) to this
 * recipient?  At MAIL `to` is NULL, then at each RCPT the whole is asked.
 * False: `why` is the reply to give.
 *
 * A user sends from his own senders only.  The null reverse-path is for notices
 * of mail servers: whoever relays without a name may use it. */
bool policy_access(const struct policy_access_rules *r,
                   const struct policy_access_client *client,
                   const struct mail_address *from,
                   const struct mail_address *to,
                   struct mail_status *why) must_use;

/* Are there senders that are not his? */
bool policy_access_is_limited(const struct policy_access_user *user);
/* May this user name this author in a From field?  His own senders only, too:
 * whom a reader sees, and whose key signs, is no less his word than the
 * reverse-path. */
bool policy_access_author(const struct policy_access_user *user,
                          const struct mail_address *author,
                          struct mail_status *why) must_use;

#endif
