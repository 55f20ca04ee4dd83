/* POST /v1/policies/DOMAIN/refresh and /forget. */
#include "relay/admin/answer.h"
#include "relay/admin/ask.h"
#include "relay/admin/routes.h"
#include "relay/base/mem.h"
#include "relay/daemon/resolver.h"
#include "relay/daemon/sts_shelf.h"

#include <stdlib.h>

static int
hex(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = c ? strchr(digits, c | 0x20) : NULL;

    return at ? (int)(at - digits) : -1;
}

bool
admin_domain(const char *name, struct mail_domain *out, struct err *err)
{
    struct buf plain scoped(buf_free) = {0};

    for (; *name; name++) {
        int high = *name == '%' ? hex(name[1]) : -1;
        int low = high >= 0 ? hex(name[2]) : -1;

        if (*name == '%' && low < 0)
            return err_set(err, ERR_INPUT, "not a domain");
        buf_add_byte(&plain, *name == '%' ? (char)(high * 16 + low) : *name);
        if (*name == '%')
            name += 2;
    }
    return mail_domain_parse(buf_slice(&plain), out, err);
}

/* --- forgetting, on every worker --- */

struct forget_task {
    struct task task;
    struct worker *worker;
    struct mail_domain domain;
};

static void
forget_here(struct task *task)
{
    struct forget_task *x = own_container(task, struct forget_task, task);

    resolver_forget(x->worker->resolver, x->domain.text);
    free(x);
}

static void
forget_on_workers(struct relay *relay, const struct mail_domain *domain,
                  const struct worker *but)
{
    for (unsigned i = 0; i < relay->worker_count; i++) {
        struct forget_task *x;

        if (relay->workers[i] == but || !relay->workers[i])
            continue;
        x = mem_new(struct forget_task);
        x->task.run = forget_here;
        x->worker = relay->workers[i];
        x->domain = *domain;
        worker_post(x->worker, &x->task);
    }
}

struct forget_call {
    struct store_call call;
    struct relay *relay;
    struct net_http_request *request;
    struct mail_domain domain;
};

static bool
work_forget(struct store_call *call, struct queue_store *store, struct err *err)
{
    struct forget_call *x = own_container(call, struct forget_call, call);
    struct buf value scoped(buf_free) = {0};

    return queue_store_shelf_get(store, STS_SHELF, x->domain.text, &value,
                                 err) &&
           queue_store_shelf_drop(store, STS_SHELF, x->domain.text, err);
}

static void
forgotten(struct task *task)
{
    struct forget_call *x = own_container(task, struct forget_call, call.task);

    /* What is known of its hosts goes in any case. */
    forget_on_workers(x->relay, &x->domain, NULL);
    if (x->call.failed)
        admin_answer_failure(x->request, &x->call.err);
    else
        admin_answer_json(x->request, 200,
                          json_pack("{s:s}", "forgotten", x->domain.text));
    free(x);
}

void
admin_forget(struct relay *relay, struct net_http_request *r, const char *name)
{
    struct forget_call *x = mem_new(struct forget_call);
    struct err err;

    if (!admin_domain(name, &x->domain, &err)) {
        free(x);
        admin_answer_failure(r, &err);
        return;
    }
    x->relay = relay;
    x->request = r;
    x->call.work = work_forget;
    x->call.task.run = forgotten;
    x->call.home = &relay->inbox;
    store_thread_post(relay->store, &x->call);
}

/* --- fetching anew --- */

static void
start_refresh(struct admin_ask *x, resolver_fn *done)
{
    resolver_refresh(&x->wait, x->worker->resolver, x->domain.text, done, x);
}

static void
refreshed(struct admin_ask *x, const struct policy_facts *facts)
{
    x->found =
        json_pack("{s:s, s:o, s:o}", "domain", x->domain.text, "state",
                  json_string(policy_sts_state_name(facts->sts_state)), "why",
                  *facts->sts_why ? admin_text(facts->sts_why) : json_null());
    if (facts->sts_state == POLICY_STS_STATE_CACHED ||
        facts->sts_state == POLICY_STS_STATE_FRESH)
        json_object_set_new(x->found, "mode",
                            json_string(policy_sts_mode_name(facts->sts.mode)));
}

static void
refresh_home(struct admin_ask *x)
{
    forget_on_workers(x->relay, &x->domain, x->worker);
}

void
admin_refresh(struct relay *relay, struct net_http_request *r, const char *name)
{
    static const struct admin_ask_kind kind = {start_refresh, refreshed,
                                               refresh_home};

    admin_ask_start(&kind, relay, r, name);
}
