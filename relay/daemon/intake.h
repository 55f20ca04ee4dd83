/*
 * relay/daemon/intake - a message on its way from a client into the store.
 *
 * Puts the trace field in front, holds the header section back until the
 * message has ended, keeps a small body in memory and spills a large one to
 * the store in pieces, and enqueues the whole.  Belongs to a worker's thread;
 * knows nothing of SMTP sessions, so other ways in can use it too.
 */
#ifndef RELAY_DAEMON_INTAKE_H
#define RELAY_DAEMON_INTAKE_H

#include "queue/message.h"
#include "relay/daemon/worker.h"
#include "relay/mail/envelope.h"
#include "relay/mail/status.h"

enum {
    /* What is spilled is also kept in memory up to these, so that its delivery
     * need not read it back: of one message, of all that come in by one
     * worker. */
    INTAKE_KEEP_MAX = 256 * 1024,
    INTAKE_KEPT_MAX = 4 * 1024 * 1024,
    /* The trace field and the header section once all is added; leaves room
     * in the first piece for signatures. */
    INTAKE_FRONT_MAX = QUEUE_FRONT_MAX - 64 * 1024,
};

/* Who hands the message over; good during intake_new. */
struct intake_client {
    uint64_t sid;         /* the session's, for the log; 0: there is none */
    const char *trace_id; /* of the request; NULL: the message may say one */
    const char *source;   /* the listener's name, or another way in */
    const char *ip;       /* NULL: a Unix socket */
    const char *helo;
    bool is_esmtp;
    const struct net_tls_facts *tls; /* NULL in clear */
    bool has_certificate;            /* whose subject counts */
    const char *user;                /* who has logged in; NULL: nobody */
};

struct intake;

/* `envelope` is looked at for the trace field only. */
struct intake *intake_new(struct worker *w, const struct intake_client *client,
                          const struct mail_envelope *envelope);

/* The next octets: canonical CRLF lines.  Only while intake_has_space. */
void intake_body(struct intake *in, struct slice octets);
bool intake_has_space(const struct intake *in);
/* Calls `room` once there is space again. */
void intake_wait(struct intake *in, void (*room)(void *ctx), void *ctx);

/* Before intake_end: stored with the message, in the same transaction.  Takes
 * it over. */
void intake_receipt(struct intake *in, struct queue_receipt *receipt);

/* The message is whole; the envelope moves in.  `done` runs later, once, with
 * the reply: 250 when it is committed and synced, else what is wrong.  The
 * intake ends by itself; an owner that goes away first calls intake_abandon,
 * and then the message is accepted all the same, as it may be already. */
void intake_end(struct intake *in, struct mail_envelope *envelope,
                void (*done)(void *ctx, const struct mail_status *status),
                void *ctx);

/* Before intake_end: forgets the message.  Behind it: forgets the owner. */
void intake_abandon(struct intake **slot);

#endif
