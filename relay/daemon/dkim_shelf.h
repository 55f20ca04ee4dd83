/*
 * relay/daemon/dkim_shelf - the keys that sign, by domain.
 *
 * Filled from the configuration; looks from time to time whether a file has
 * changed, and reads it anew.  A file that is broken or gone, or half written,
 * changes nothing but the log: the key that was read before goes on signing.
 * Main thread, but for what says "any thread".
 */
#ifndef RELAY_DAEMON_DKIM_SHELF_H
#define RELAY_DAEMON_DKIM_SHELF_H

#include "relay/daemon/relay.h"
#include "relay/mail/dkim.h"

enum {
    DKIM_SHELF_LOOK_MS = 5000, /* between looks at the files */
};

struct dkim_shelf;

struct dkim_shelf *dkim_shelf_new(struct relay *relay);
void dkim_shelf_free(struct dkim_shelf **s);

/* The relay's configuration changed. */
void dkim_shelf_configure(struct dkim_shelf *s);

/* All that sign for one message.  Zeroed storage has none. */
struct dkim_set {
    char *domain; /* owned, like what follows */
    struct {
        char *selector;
        struct mail_dkim_key *key;
    } row[CONFIG_DKIM_KEYS_MAX];
    size_t count;
};

void dkim_set_done(struct dkim_set *set);
/* Drops one of its keys. */
void dkim_set_drop(struct dkim_set *set, size_t i);

/* The keys of a domain (A-label form), or of the nearest one above it that has
 * any: by default DMARC takes that for the same organization (RFC 7489 section
 * 3.1.1).  False: there are none.  Any thread. */
bool dkim_shelf_take(struct dkim_shelf *s, const char *domain,
                     struct dkim_set *out) must_use;
/* Any thread. */
bool dkim_shelf_is_empty(struct dkim_shelf *s);

#endif
