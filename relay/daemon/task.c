#include "relay/daemon/task.h"

#include "relay/base/own.h"

#include <stddef.h>

void
task_post(struct net_inbox *to, struct task *task)
{
    mailbox_put(&to->box, &task->letter);
}

void
task_run_all(void *ctx, struct mailbox_letter *first)
{
    (void)ctx;
    while (first) {
        struct task *task = own_container(first, struct task, letter);

        first = first->next; /* the task is gone once it has run */
        task->run(task);
    }
}
