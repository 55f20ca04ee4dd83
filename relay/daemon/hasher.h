/*
 * relay/daemon/hasher - is this the password of this hash?
 *
 * crypt(3) is slow on purpose, so it runs on threads of libuv's pool: a few at
 * once for the whole relay, a few more that wait, and no more than that, so
 * that whoever sends many passwords gets no more of the machine than who sends
 * few.  The rules of relay/net/work.h hold; any worker may ask.
 */
#ifndef RELAY_DAEMON_HASHER_H
#define RELAY_DAEMON_HASHER_H

#include "relay/daemon/worker.h"

enum {
    HASHER_AT_ONCE = 2,
    HASHER_WAITING_MAX = 64,
};

struct hasher;
struct hasher_job;

struct hasher *hasher_new(void);
void hasher_free(struct hasher **h);

typedef void hasher_fn(void *ctx, bool is_match);

/* False: too many wait.  The password is copied, and overwritten behind its
 * use; one that is too long matches nothing and costs the same. */
bool hasher_start(struct hasher_job **slot, struct hasher *h, struct worker *w,
                  struct slice password, const char *hash, hasher_fn *done,
                  void *ctx) must_use;
void hasher_cancel(struct hasher_job **slot);

#endif
