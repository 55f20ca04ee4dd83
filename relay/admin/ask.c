#include "relay/admin/ask.h"

#include "relay/admin/answer.h"
#include "relay/admin/routes.h"
#include "relay/base/mem.h"

#include <stdlib.h>

/* Main thread. */
static void
come_home(struct task *task)
{
    struct admin_ask *x = own_container(task, struct admin_ask, task);

    if (x->found && x->kind->home)
        x->kind->home(x);
    if (x->found)
        admin_answer_json(x->request, x->status ? x->status : 200,
                          take(&x->found));
    else
        admin_answer_error(x->request, 503, "the relay is about to end");
    free(x->from);
    free(x->mx);
    free(x->destination);
    free(x);
}

void
admin_ask_end(struct admin_ask *x)
{
    x->task.run = come_home;
    task_post(&x->relay->inbox, &x->task);
}

static void
facts_are_in(void *ctx, const struct policy_facts *facts)
{
    struct admin_ask *x = ctx;

    if (facts)
        x->kind->look(x, facts);
    admin_ask_end(x);
}

static void
arrived(struct task *task)
{
    struct admin_ask *x = own_container(task, struct admin_ask, task);

    if (x->worker->is_stopping)
        admin_ask_end(x);
    else
        x->kind->start(x, facts_are_in);
}

void
admin_ask_start(const struct admin_ask_kind *kind, struct relay *relay,
                struct net_http_request *r, const char *domain)
{
    struct admin_ask *x = mem_new(struct admin_ask);
    const char *from = net_http_query(r, "from");
    const char *mx = net_http_query(r, "mx");
    struct err err;

    if (!admin_domain(domain, &x->domain, &err)) {
        free(x);
        admin_answer_failure(r, &err);
        return;
    }
    x->kind = kind;
    x->relay = relay;
    x->worker = relay->workers[0];
    x->request = r;
    x->from = mem_text(from ? from : "");
    x->mx = mem_text(mx ? mx : "");
    x->task.run = arrived;
    worker_post(x->worker, &x->task);
}
