/*
 * relay/base/mailbox - how threads talk: a locked list of letters.
 *
 * Any thread may put; one thread takes everything that has gathered, in the
 * order in which it was put.  A letter is embedded in the struct that travels,
 * and whoever takes it owns it.  `wake` runs on the putting thread, once each
 * time the box stops being empty.
 */
#ifndef RELAY_BASE_MAILBOX_H
#define RELAY_BASE_MAILBOX_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct mailbox_letter {
    struct mailbox_letter *next;
};

typedef void mailbox_wake_fn(void *ctx);

struct mailbox {
    pthread_mutex_t lock;
    pthread_cond_t filled;
    struct mailbox_letter *first, **end;
    mailbox_wake_fn *wake; /* may be NULL */
    void *ctx;
};

void mailbox_init(struct mailbox *box, mailbox_wake_fn *wake, void *ctx);
void mailbox_done(struct mailbox *box); /* the box must be empty */

void mailbox_put(struct mailbox *box, struct mailbox_letter *letter);

/* All letters, oldest first, linked by `next`; NULL when there is none. */
struct mailbox_letter *mailbox_take(struct mailbox *box);

/* As mailbox_take, but sleeps until there is a letter or `limit_ms` have
 * passed. */
struct mailbox_letter *mailbox_wait(struct mailbox *box, int64_t limit_ms);

#endif
