/*
 * policy/access - who may relay, decided by one pure function.
 */
#ifndef POLICY_ACCESS_H
#define POLICY_ACCESS_H

#include "relay/base/addr.h"
#include "relay/mail/address.h"
#include "relay/mail/status.h"

struct policy_access_rules {
    const struct addr_net *networks; /* may relay; a Unix socket always may */
    size_t network_count;
    const char *const *sender_domains; /* A-label form; none: any */
    size_t sender_domain_count;
    const char *const *recipient_domains; /* none: any */
    size_t recipient_domain_count;
};

/* May this client connect and relay at all?  peer of family AF_UNSPEC is a
 * Unix socket.  False: `why` is the reply to give. */
bool policy_access_client(const struct policy_access_rules *r,
                          const struct addr *peer, struct mail_status *why);
/* May it send from this reverse-path ("" always may) to this recipient? */
bool policy_access_sender(const struct policy_access_rules *r,
                          const struct mail_address *from,
                          struct mail_status *why);
bool policy_access_recipient(const struct policy_access_rules *r,
                             const struct mail_address *to,
                             struct mail_status *why);

#endif
