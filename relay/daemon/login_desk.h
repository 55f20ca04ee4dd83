/*
 * relay/daemon/login_desk - what all workers share to let users log in.
 *
 * Made before the first worker starts, gone behind the last.  Each part keeps
 * its own lock.
 */
#ifndef RELAY_DAEMON_LOGIN_DESK_H
#define RELAY_DAEMON_LOGIN_DESK_H

#include "relay/base/err.h"
#include "relay/base/own.h"
#include "relay/config/users.h"
#include "relay/daemon/hasher.h"
#include "relay/guard/guesses.h"
#include "relay/guard/login_cache.h"

enum { LOGIN_DESK_SECRET = 32 };

struct login_desk {
    struct hasher *hasher;
    struct login_cache *cache;
    struct guesses *guesses;
    struct guesses *tokens; /* wrong ones, by HTTP */
    /* Kept in the state directory: who asks about a user that isn't there hears
     * the same salt for ever, as he would of one that is. */
    uint8_t secret[LOGIN_DESK_SECRET];
};

struct login_desk *login_desk_open(const char *state_directory,
                                   struct err *err) must_use;
void login_desk_close(struct login_desk **d);

/* The verifier of a user who has none; nothing fits it. */
void login_desk_decoy(const struct login_desk *d, const struct users *users,
                      const char *name, struct smtp_sasl_verifier *out);

#endif
