/*
 * relay/guard/quota - how many messages and recipients somebody has sent in a
 * span of time, by all sessions of all workers.
 *
 * Somebody is a user who has logged in, else a client: an IPv4 address, an IPv6
 * /64, or the Unix sockets.  A span begins with the first message in it.
 *
 * Of bounded size: whose span began longest ago is forgotten first.  A reload
 * changes limits and forgets nothing.  Any thread; time is net_clock_steady's.
 */
#ifndef RELAY_GUARD_QUOTA_H
#define RELAY_GUARD_QUOTA_H

#include "relay/base/addr.h"
#include "relay/base/span.h"

enum { QUOTA_SENDERS_MAX = 20000 };

struct quota_limits {
    struct span_rate messages, recipients; /* count 0: no limit */
};

struct quota_sender {
    const char *user; /* NULL: by peer */
    const struct addr *peer;
};

struct quota;

struct quota *quota_new(void);
void quota_free(struct quota **q);

/* Would one message more with so many recipients be within the limits?  0, or
 * in how many seconds it may be (at least 1); *is_of_recipients when it is
 * their limit that is reached.  A message alone over the limit of recipients
 * can't be told when: it is a whole span. */
unsigned quota_wait(struct quota *q, const struct quota_limits *limits,
                    const struct quota_sender *sender, uint64_t recipients,
                    int64_t now_ms, bool *is_of_recipients);

/* The same, and counts it when it is. */
unsigned quota_take(struct quota *q, const struct quota_limits *limits,
                    const struct quota_sender *sender, uint64_t recipients,
                    int64_t now_ms, bool *is_of_recipients);

/* It came to nothing. */
void quota_give_back(struct quota *q, const struct quota_sender *sender,
                     uint64_t recipients);

#endif
