/*
 * relay/daemon/sender_shelf - the sender map as its file has it now.
 *
 * Begins with what the configuration read; looks from time to time whether the
 * file has changed, and reads it anew.  A file that is broken or gone changes
 * nothing but the log: what was read before goes on.  Main thread, but for
 * what says "any thread".
 */
#ifndef RELAY_DAEMON_SENDER_SHELF_H
#define RELAY_DAEMON_SENDER_SHELF_H

#include "relay/daemon/relay.h"
#include "relay/mail/sender_map.h"

enum {
    SENDER_SHELF_LOOK_MS = 5000, /* between looks at the file */
};

struct sender_shelf;

struct sender_shelf *sender_shelf_new(struct relay *relay);
void sender_shelf_free(struct sender_shelf **s);

/* The relay's configuration changed; its map moves in. */
void sender_shelf_configure(struct sender_shelf *s);

/* The map, for a moment: it stays until it is put back, and nobody else has it.
 * NULL: there is none.  Any thread. */
const struct mail_sender_map *sender_shelf_borrow(struct sender_shelf *s);
void sender_shelf_put_back(struct sender_shelf *s);

#endif
