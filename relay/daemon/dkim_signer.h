/*
 * relay/daemon/dkim_signer - signs one message with all keys that are for it.
 *
 * The body is hashed as it streams by; at its end the domain is chosen (that
 * of the From field, else that of the envelope sender) and every key of that
 * domain signs, on a thread of the pool.  Belongs to the thread of a loop.
 */
#ifndef RELAY_DAEMON_DKIM_SIGNER_H
#define RELAY_DAEMON_DKIM_SIGNER_H

#include "relay/daemon/dkim_shelf.h"
#include "relay/mail/status.h"

struct dkim_signer;

/* NULL: no domain has a key. */
struct dkim_signer *dkim_signer_new(struct dkim_shelf *shelf);
/* Cancels what is under way. */
void dkim_signer_free(struct dkim_signer **s);

/* What stands behind the blank line, in canonical CRLF lines, in pieces of any
 * size. */
void dkim_signer_body(struct dkim_signer *s, struct slice octets);

/* `fields`, in CRLF lines, are to be put in front of the message.  NULL: it
 * can't be signed, and *refusal says whose fault that is. */
typedef void dkim_signer_fn(void *ctx, const struct slice *fields,
                            const struct mail_status *refusal);

/* The message is whole; `header` is its section as it will be sent, `sender`
 * the reverse-path.  False: no key is for it, or each has signed it before;
 * `done` is not called.  Else `done` runs later, as the rules of
 * relay/net/dial.h say, unless the signer is freed first. */
bool dkim_signer_start(struct dkim_signer *s, uv_loop_t *loop,
                       struct slice header, const char *sender,
                       dkim_signer_fn *done, void *ctx) must_use;
/* The domain that signs; good from then on until `done` returns. */
const char *dkim_signer_domain(const struct dkim_signer *s);

/* The same for a message of our own that is in memory; *slot is NULL when
 * nothing signs it, and the caller's to free in `done`. */
bool dkim_signer_start_whole(struct dkim_signer **slot,
                             struct dkim_shelf *shelf, uv_loop_t *loop,
                             struct slice message, const char *sender,
                             dkim_signer_fn *done, void *ctx) must_use;

#endif
