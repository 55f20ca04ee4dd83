/*
 * relay/daemon/submit - a message that comes in some other way than by SMTP,
 * from the main thread into the queue.
 *
 * The main thread has its octets and hands them over in pieces, one at a time;
 * a worker makes lines of them and gives them to an intake, like those of any
 * other client.  All but submit_cut is for the main thread.
 */
#ifndef RELAY_DAEMON_SUBMIT_H
#define RELAY_DAEMON_SUBMIT_H

#include "relay/daemon/worker.h"
#include "relay/mail/envelope.h"
#include "relay/mail/status.h"

struct queue_receipt;
struct submit;

/* `status` NULL: what was handed over has been used.  Else it is over, and the
 * submission is gone: 250 "queued as ID" when the message is committed and
 * synced, or what is wrong with it or with us. */
typedef void submit_fn(void *ctx, const struct mail_status *status);

/* The envelope moves in.  `source` names the way in, for metrics; `client`,
 * NULL for one without an address, is whom it comes from. */
struct submit *submit_new(struct relay *relay, struct mail_envelope *envelope,
                          const char *source, const struct addr *client,
                          submit_fn *done, void *ctx);

/* The trace that the request belongs to, for the log; before all else. */
void submit_trace(struct submit *s, const char *trace_id);

/* Each of these is answered by `done` before the next may be called; at the
 * relay's end from within. */
void submit_piece(struct submit *s, struct buf *octets); /* leaves it empty */
/* The message is whole.  `receipt`, taken over, is stored with it; or NULL. */
void submit_end(struct submit *s, struct queue_receipt *receipt);
/* It is to be forgotten. */
void submit_abandon(struct submit *s);

/* The worker's thread: ends it, now or when more is handed over, with a 4yz;
 * the message may be accepted all the same. */
void submit_cut(struct submit *s);

#endif
