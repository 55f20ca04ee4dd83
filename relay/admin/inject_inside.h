/*
 * relay/admin/inject_inside - what the files of POST /v1/messages share; nobody
 * else's.
 *
 * The way of a message is in inject.c, what stands in front of its octets in
 * inject_head.c, whether it may be sent in inject_rules.c, and how JSON becomes
 * a message in draft.c.  All of it is the main thread's.
 */
#ifndef RELAY_ADMIN_INJECT_INSIDE_H
#define RELAY_ADMIN_INJECT_INSIDE_H

#include "queue/message.h"
#include "relay/admin/inject.h"
#include "relay/daemon/relay.h"
#include "relay/guard/digest.h"
#include "relay/mail/address.h"
#include "relay/mail/envelope.h"
#include "relay/mail/status.h"
#include "relay/net/http_server.h"
#include "relay/net/work.h"

struct inject {
    struct relay *relay;
    struct net_http_request *request;
    struct inject *next, **at; /* of relay->injects */
    bool is_json;
    struct mail_envelope envelope; /* of JSON: once it is read */
    uint64_t size_max;             /* octets of the body */

    char key[QUEUE_RECEIPT_KEY_MAX + 1]; /* "": none */
    struct digest *digest;               /* of the request, when it has a key */
    struct queue_receipt receipt;        /* of an earlier one: */
    uint64_t earlier;                    /* its message; 0: there was none */

    struct buf octets;   /* of the last piece: */
    bool has_piece;      /* which can't be used yet */
    struct buf gathered; /* JSON, or the message that it has become */
    size_t budgeted;     /* octets of JSON, in relay->inject_octets */
    size_t used;         /* of the message, handed over */

    bool is_whole; /* no more of the request comes */
    bool is_gone;  /* nor will anybody hear the answer */
    bool is_away;  /* something is under way that will come home */

    unsigned wait_s; /* when it may come again; 0: that is not known */
    size_t counted;  /* recipients in the quota; 0: none */
    struct submit *submit;
    struct net_work *work; /* a message is made of JSON */
};

/* --- inject_head.c --- */

/* Reads what stands in front of the octets.  0, or the status of an answer and
 * why. */
int admin_inject_head(struct inject *x, struct err *err) must_use;

/* --- inject_rules.c --- */

/* Can a message be taken at all now? */
bool admin_inject_is_able(const struct inject *x,
                          struct mail_status *why) must_use;
/* May this client send it?  Counts it when it may. */
bool admin_inject_may(struct inject *x, struct mail_status *why) must_use;
/* It came to nothing, if it was counted. */
void admin_inject_uncount(struct inject *x);

/* The status of the answer for what became of it. */
int admin_inject_status(const struct mail_status *status);

#endif
