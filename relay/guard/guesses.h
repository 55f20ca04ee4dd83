/*
 * relay/guard/guesses - who has tried how many wrong passwords, or tokens.
 *
 * Counted for a client's address and the networks around it, and for the user
 * that was tried, each in a minute and in a day.  What goes beyond a limit is
 * not even looked at.  Unix sockets, 127.0.0.1 and ::1 are everybody on this
 * machine, so there only the user is counted.  A client from where a user has
 * logged in before is counted for that user apart, so that nobody who guesses
 * elsewhere, or at another name next door, locks that user out.
 *
 * A token is long, and all who bring it are one user: of tokens only addresses
 * and networks are counted, and only in a minute, so that who got the right
 * one at last is soon let in; and on this machine nothing is.
 *
 * Of bounded size: what was touched longest ago is forgotten first.  Any
 * thread; time is net_clock_steady's.
 */
#ifndef RELAY_GUARD_GUESSES_H
#define RELAY_GUARD_GUESSES_H

#include "relay/base/addr.h"
#include "relay/base/hash.h"

enum {
    GUESSES_COUNTS_MAX = 20000, /* addresses, networks and users */
    GUESSES_KNOWN_MAX = 5000,   /* pairs of an address and a user */
    GUESSES_KNOWN_MS = 30 * 24 * 3600 * 1000LL, /* since the last login */

    GUESSES_FREE = 3,       /* wrong ones of an address in a day that are
                               answered without delay */
    GUESSES_DELAY_MS = 500, /* more for each one behind them */
    GUESSES_DELAY_MAX_MS = 5000,
};

struct guesses;

enum guesses_of { GUESSES_OF_PASSWORDS, GUESSES_OF_TOKENS };

struct guesses *guesses_new(const struct hash_key *key, enum guesses_of what);
void guesses_free(struct guesses **g);

/* May this client try a password of this user, or a token (of user "")?  0, or
 * in how many seconds it may. */
unsigned guesses_wait(struct guesses *g, const struct addr *peer,
                      const char *user, int64_t now_ms);

/* It was wrong: how long the answer is to be held back, in milliseconds. */
unsigned guesses_failed(struct guesses *g, const struct addr *peer,
                        const char *user, int64_t now_ms);
void guesses_passed(struct guesses *g, const struct addr *peer,
                    const char *user, int64_t now_ms);

#endif
