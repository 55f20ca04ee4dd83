/*
 * relay/guard/login_cache - logins that were found good a moment ago, so that
 * an application that connects for each message costs one hash a minute.
 *
 * What is kept is a hash under a key that nobody outside the process knows, of
 * user, password and the line of the users file: who changes that has to be
 * asked anew.  Of bounded size.  Any thread; time is net_clock_steady's.
 */
#ifndef RELAY_GUARD_LOGIN_CACHE_H
#define RELAY_GUARD_LOGIN_CACHE_H

#include "relay/base/slice.h"

#include <stdint.h>

enum {
    LOGIN_CACHE_MAX = 1000,
    LOGIN_CACHE_MS = 60 * 1000,
    LOGIN_CACHE_KEY = 32, /* octets */
};

struct login_cache;

struct login_cache *login_cache_new(const uint8_t key[LOGIN_CACHE_KEY]);
void login_cache_free(struct login_cache **c);

bool login_cache_has(struct login_cache *c, const char *user,
                     struct slice password, const char *hash, int64_t now_ms);
void login_cache_put(struct login_cache *c, const char *user,
                     struct slice password, const char *hash, int64_t now_ms);

#endif
