/*
 * relay/base/mailbox - how threads talk: a locked list of letters.
 *
 * Any thread may put; one thread takes everything that has gathered, in the
 * order in which it was put.  A letter is embedded in the struct that travels,
 * and whoever takes it owns it.  `wake` runs on the putting thread, once each
 * time the box stops being empty.
 *
 * A letter may be patient: it does not end a mailbox_wait at once, but when
 * another comes that is not, or after MAILBOX_PATIENCE_MS.
 */
#ifndef RELAY_BASE_MAILBOX_H
#define RELAY_BASE_MAILBOX_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

enum { MAILBOX_PATIENCE_MS = 10 };

struct mailbox_letter {
    struct mailbox_letter *next;
};

typedef void mailbox_wake_fn(void *ctx);

struct mailbox {
    pthread_mutex_t lock;
    pthread_cond_t filled;
    struct mailbox_letter *first, **end;
    bool is_pressing;      /* there is a letter that is not patient */
    mailbox_wake_fn *wake; /* may be NULL */
    void *ctx;
};

void mailbox_init(struct mailbox *box, mailbox_wake_fn *wake, void *ctx);
void mailbox_done(struct mailbox *box); /* the box must be empty */

void mailbox_put(struct mailbox *box, struct mailbox_letter *letter);
void mailbox_put_patient(struct mailbox *box, struct mailbox_letter *letter);

/* All letters, oldest first, linked by `next`; NULL when there is none. */
struct mailbox_letter *mailbox_take(struct mailbox *box);

/* As mailbox_take, but sleeps until there is a letter or `limit_ms` have
 * passed, and over the patience of patient ones. */
struct mailbox_letter *mailbox_wait(struct mailbox *box, int64_t limit_ms);

#endif
