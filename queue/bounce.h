/*
 * queue/bounce - delivery status notifications (RFC 3461, 3464, 6533).
 *
 * Builds a notice about one message for one action, recipients of the same
 * outcome merged, ready to be enqueued: from <>, to the sender.  Pure but for
 * what it is given.
 */
#ifndef QUEUE_BOUNCE_H
#define QUEUE_BOUNCE_H

#include "queue/message.h"

enum {
    QUEUE_BOUNCE_RETURN_MAX = 128 * 1024, /* octets of the message returned
                                             with RET=FULL; else headers */
    QUEUE_BOUNCE_HEADERS_MAX = 100 * 1024,
};

enum queue_action { /* RFC 3464 section 2.3.3 */
                    QUEUE_ACTION_FAILED,
                    QUEUE_ACTION_DELAYED,
                    QUEUE_ACTION_RELAYED, /* to a server without DSN */
};

struct queue_bounce_rcpt {
    const struct mail_rcpt *rcpt;
    struct mail_status status; /* what happened */
    const char *remote_mta;    /* host that said so; NULL: we did */
    const char *explanation;   /* for people: which policy failed, host,
                                  expected and seen; or NULL */
    int64_t attempted_ms;      /* last attempt, wall clock; 0 none */
};

struct queue_bounce {
    enum queue_action action;
    const char *hostname;   /* ours: Reporting-MTA, From */
    uint64_t id;            /* of the new message */
    int64_t now_ms;         /* wall clock */
    int64_t steady_ms;      /* steady clock, for arrived_ms of the notice */
    int64_t retry_until_ms; /* DELAYED: Will-Retry-Until, wall clock */
    uint64_t boundary;      /* random */
    const struct queue_message *message;
    struct slice original; /* its octets as far as they are at hand: the
                              header section at least, or nothing */
    bool original_is_whole;
    const struct queue_bounce_rcpt *rcpt;
    size_t rcpt_count;
};

/* Does this recipient's NOTIFY (and the sender) want a notice of that action?
 * Never for a null sender (RFC 3461 section 4.1, RFC 5321 section 4.5.5). */
bool queue_bounce_is_wanted(enum queue_action action,
                            const struct queue_message *m,
                            const struct mail_rcpt *rcpt);

/* How many octets of a message its notice has a use for, from its beginning. */
size_t queue_bounce_original_max(const struct queue_message *m);

/* The notice, with one recipient whose destination is not yet set. */
struct queue_message *queue_bounce_new(const struct queue_bounce *b);

#endif
