/*
 * relay/daemon/task - a letter that knows what to do on arrival.
 *
 * Threads of the daemon send each other tasks; the inbox of a thread runs each
 * on that thread, in the order in which they came.  A task is embedded in the
 * struct that travels; `run` owns that struct.
 */
#ifndef RELAY_DAEMON_TASK_H
#define RELAY_DAEMON_TASK_H

#include "relay/net/inbox.h"

struct task {
    struct mailbox_letter letter;
    void (*run)(struct task *task);
};

/* Any thread. */
void task_post(struct net_inbox *to, struct task *task);

/* The net_inbox_fn of an inbox that gets tasks. */
void task_run_all(void *ctx, struct mailbox_letter *first);

#endif
