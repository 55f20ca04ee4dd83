/* GET /metrics. */
#include "relay/admin/metrics.h"

#include "relay/admin/answer.h"
#include "relay/admin/routes.h"
#include "relay/base/mem.h"

#include <stdlib.h>
#include <string.h>

struct metrics_call {
    struct store_call call;
    struct relay *relay;
    struct net_http_request *request;
    char *directory;
    struct admin_metrics_store store;
    bool is_openmetrics;
};

static bool
work(struct store_call *call, struct queue_store *store, struct err *err)
{
    struct metrics_call *x = own_container(call, struct metrics_call, call);

    return admin_metrics_look(&x->store, store, x->relay, x->directory, err);
}

static void
respond(struct metrics_call *x)
{
    struct buf out scoped(buf_free) = {0};
    struct metric_page page = {.out = &out,
                               .is_openmetrics = x->is_openmetrics};

    metric_page_set(&page, x->relay->metrics);
    admin_metrics_gauges(&page, x->relay, &x->store);
    metric_page_end(&page);
    net_http_respond(x->request, 200, metric_page_media_type(&page), &out);
}

static void
looked(struct task *task)
{
    struct metrics_call *x =
        own_container(task, struct metrics_call, call.task);

    if (x->call.failed)
        admin_answer_failure(x->request, &x->call.err);
    else if (!x->relay->store)
        admin_answer_error(x->request, 503, "the relay is at its end");
    else
        respond(x);
    free(x->directory);
    free(x);
}

void
admin_metrics(struct relay *relay, struct net_http_request *r, const char *name)
{
    struct metrics_call *x = mem_new(struct metrics_call);
    const char *accept = net_http_header(r, "accept");

    (void)name;
    x->relay = relay;
    x->request = r;
    x->directory = mem_text(relay->config->state_directory);
    x->is_openmetrics = accept && strstr(accept, "application/openmetrics");
    x->call.work = work;
    x->call.task.run = looked;
    x->call.home = &relay->inbox;
    store_thread_post(relay->store, &x->call);
}
