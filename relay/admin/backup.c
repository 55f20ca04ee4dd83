/* POST /v1/backup: a copy of the queue beside it, while it is in use. */
#include "queue/store_backup.h"
#include "relay/admin/answer.h"
#include "relay/admin/routes.h"
#include "relay/base/mem.h"

#include <stdlib.h>

/* Goes to the store thread and home again, a step at a time. */
struct backup {
    struct store_call call;
    struct relay *relay;
    struct net_http_request *request;
    char *path;
    bool has_begun, end;
};

static bool
work(struct store_call *call, struct queue_store *store, struct err *err)
{
    struct backup *x = own_container(call, struct backup, call);

    if (!x->has_begun && !queue_store_backup_start(store, x->path, err))
        return false;
    x->has_begun = true;
    return queue_store_backup_step(store, &x->end, err);
}

static void
tell_log(const struct backup *x)
{
    struct log_line line;

    log_begin(&line, x->relay->log,
              x->call.failed ? LOG_LEVEL_ERROR : LOG_LEVEL_INFO,
              "queue.backup");
    log_text(&line, "file", x->path);
    log_text(&line, "error", x->call.failed ? x->call.err.text : NULL);
    log_end(&line);
}

static void
free_backup(struct backup *x)
{
    free(x->path);
    free(x);
}

/* What is not whole when the relay ends is dropped with its store. */
static void
came_home(struct task *task)
{
    struct backup *x = own_container(task, struct backup, call.task);

    if (!x->call.failed && !x->end && x->relay->store) {
        store_thread_post(x->relay->store, &x->call);
        return;
    }
    tell_log(x);
    if (x->call.failed)
        admin_answer_failure(x->request, &x->call.err);
    else if (!x->end)
        admin_answer_error(x->request, 503, "the relay is at its end");
    else
        admin_answer_json(x->request, 200,
                          json_pack("{s:o}", "file", admin_text(x->path)));
    free_backup(x);
}

void
admin_backup(struct relay *relay, struct net_http_request *r, const char *name)
{
    struct backup *x = mem_new(struct backup);

    (void)name;
    x->relay = relay;
    x->request = r;
    x->path =
        mem_printf("%s/" QUEUE_BACKUP_NAME, relay->config->state_directory);
    x->call.work = work;
    x->call.is_alone = true;
    x->call.task.run = came_home;
    x->call.home = &relay->inbox;
    store_thread_post(relay->store, &x->call);
}
