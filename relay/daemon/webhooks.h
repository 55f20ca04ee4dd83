/*
 * relay/daemon/webhooks - all webhooks of the configuration: who is to be told
 * of which result.
 *
 * Whoever settles a recipient asks for the names before, so that they stand in
 * the store together with the result, and says so once that is committed.
 * Main thread.
 */
#ifndef RELAY_DAEMON_WEBHOOKS_H
#define RELAY_DAEMON_WEBHOOKS_H

#include "relay/daemon/webhook.h"

struct webhooks;

/* Goes on with what a relay before has left. */
struct webhooks *webhooks_new(struct relay *relay);
/* The store thread still runs, or nothing has begun. */
void webhooks_free(struct webhooks **all);

/* The configuration is another.  What waits for a webhook that it no longer has
 * is dropped. */
void webhooks_configure(struct webhooks *all);

/* Who wants to hear of this result: names, NULL at their end; NULL: nobody.
 * Mail of our own (notices and reports) is nobody's business, nor is what was
 * not tried.  `all` may be NULL. */
char **webhooks_wanting(const struct webhooks *all,
                        const struct queue_message *m,
                        const struct queue_result *r);
void webhooks_names_free(char ***names);
/* That is in the store now. */
void webhooks_told(struct webhooks *all, char *const *names);

typedef void webhooks_fn(void *ctx, const struct webhook_state *state);
void webhooks_each(const struct webhooks *all, webhooks_fn *each, void *ctx);

#endif
