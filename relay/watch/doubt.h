/*
 * relay/watch/doubt - which recipients are with a host that has all of the
 * message and has yet to say whether it took it.
 *
 * Until it does, nobody knows whether they have the message.  Kept for those
 * who count what is in the queue, never asked when mail is delivered.  Any
 * thread.
 */
#ifndef RELAY_WATCH_DOUBT_H
#define RELAY_WATCH_DOUBT_H

#include <stddef.h>
#include <stdint.h>

struct doubt;
struct doubt_entry;

struct doubt *doubt_new(void);
/* There are no entries any more. */
void doubt_free(struct doubt **d);

/* `count` recipients of one message; the numbers are copied.  The entry is the
 * caller's, who drops it when it is known. */
struct doubt_entry *doubt_add(struct doubt *d, uint64_t message,
                              const uint32_t *numbers, size_t count);
void doubt_drop(struct doubt *d, struct doubt_entry **entry);

typedef void doubt_fn(void *ctx, uint64_t message, const uint32_t *numbers,
                      size_t count);

/* `fn` calls nothing here. */
void doubt_each(struct doubt *d, doubt_fn *fn, void *ctx);

#endif
