/* The paths that only look: each is one short call to the store thread. */
#include "policy/tlsrpt.h"
#include "relay/admin/answer.h"
#include "relay/admin/filter.h"
#include "relay/admin/routes.h"
#include "relay/admin/view.h"
#include "relay/base/id.h"
#include "relay/base/mem.h"
#include "relay/net/timer.h"

#include <stdlib.h>

struct read_call {
    struct store_call call;
    struct net_http_request *request;
    bool (*look)(struct read_call *x, struct queue_store *s, struct err *err);
    struct admin_filter filter;
    uint64_t before; /* of a search: an id, or 0 */
    char *domain;    /* or what a listing of domains begins behind */
    unsigned piece;
    json_t *found;
    struct buf body;
};

static bool
work(struct store_call *call, struct queue_store *store, struct err *err)
{
    struct read_call *x = own_container(call, struct read_call, call);

    json_decref(x->found);
    x->found = NULL;
    buf_clear(&x->body);
    return x->look(x, store, err);
}

static void
done(struct task *task)
{
    struct read_call *x = own_container(task, struct read_call, call.task);

    if (x->call.failed)
        admin_answer_failure(x->request, &x->call.err);
    else if (x->found)
        admin_answer_json(x->request, 200, take(&x->found));
    else
        net_http_respond(x->request, 200, "application/octet-stream", &x->body);
    json_decref(x->found);
    buf_free(&x->body);
    admin_filter_done(&x->filter);
    free(x->domain);
    free(x);
}

static struct read_call *
new_call(struct net_http_request *r,
         bool (*look)(struct read_call *, struct queue_store *, struct err *))
{
    struct read_call *x = mem_new(struct read_call);

    x->request = r;
    x->look = look;
    x->call.work = work;
    x->call.task.run = done;
    return x;
}

static void
post(struct relay *relay, struct read_call *x)
{
    x->call.home = &relay->inbox;
    store_thread_post(relay->store, &x->call);
}

/* --- one message --- */

static bool
look_message(struct read_call *x, struct queue_store *s, struct err *err)
{
    return admin_view_message(s, x->filter.queue.id, &x->found, err);
}

static bool
look_trace(struct read_call *x, struct queue_store *s, struct err *err)
{
    return admin_view_trace(s, x->filter.queue.id, &x->found, err);
}

static bool
look_piece(struct read_call *x, struct queue_store *s, struct err *err)
{
    return queue_store_read(s, x->filter.queue.id, x->piece, &x->body, err);
}

static struct read_call *
message_call(struct net_http_request *r, const char *name,
             bool (*look)(struct read_call *, struct queue_store *,
                          struct err *))
{
    struct read_call *x;
    uint64_t id;

    if (!id_parse(slice_of(name), &id)) {
        admin_answer_error(r, 400, "not a queue id");
        return NULL;
    }
    x = new_call(r, look);
    x->filter.queue.id = id;
    return x;
}

void
admin_message(struct relay *relay, struct net_http_request *r, const char *name)
{
    struct read_call *x = message_call(r, name, look_message);

    if (x)
        post(relay, x);
}

void
admin_trace(struct relay *relay, struct net_http_request *r, const char *name)
{
    struct read_call *x = message_call(r, name, look_trace);

    if (x)
        post(relay, x);
}

/* A large message comes in pieces, so that nobody has to keep it whole: ask
 * for ?piece=0 and on, until 404. */
void
admin_body(struct relay *relay, struct net_http_request *r, const char *name)
{
    const char *text = net_http_query(r, "piece");
    unsigned long long piece;
    struct read_call *x;

    if (!text || !slice_number(slice_of(text), QUEUE_CHUNKS_MAX, &piece)) {
        admin_answer_error(r, 400, "say which piece: ?piece=0 and on");
        return;
    }
    x = message_call(r, name, look_piece);
    if (!x)
        return;
    x->piece = (unsigned)piece;
    post(relay, x);
}

/* --- messages by address --- */

static bool
look_search(struct read_call *x, struct queue_store *s, struct err *err)
{
    return admin_view_search(s, x->filter.queue.to, x->before, &x->found, err);
}

/* An address, or a domain with or without its '@'. */
static bool
set_sought(struct read_call *x, const char *text, struct err *err)
{
    char *sought scoped(own_free) =
        mem_printf("%s%s", strchr(text, '@') ? "" : "@", text);

    return admin_filter_set(&x->filter, "to", sought, net_clock_steady(), err);
}

void
admin_messages(struct relay *relay, struct net_http_request *r,
               const char *name)
{
    const char *address = net_http_query(r, "address");
    struct read_call *x = new_call(r, look_search);
    const char *cursor;
    struct err err = {0};

    (void)name;
    if (address && !set_sought(x, address, &err)) {
        admin_filter_done(&x->filter);
        free(x);
        admin_answer_failure(r, &err);
        return;
    }
    cursor = net_http_query(r, "cursor");
    if (cursor && !id_parse(slice_of(cursor), &x->before)) {
        admin_filter_done(&x->filter);
        free(x);
        admin_answer_error(r, 400, "cursor: not one of ours");
        return;
    }
    post(relay, x);
}

/* --- policies --- */

static bool
look_policies(struct read_call *x, struct queue_store *s, struct err *err)
{
    return admin_view_policies(s, x->domain, &x->found, err);
}

static bool
look_policy(struct read_call *x, struct queue_store *s, struct err *err)
{
    return admin_view_policy(s, x->domain, &x->found, err);
}

void
admin_policies(struct relay *relay, struct net_http_request *r,
               const char *name)
{
    struct read_call *x = new_call(r, look_policies);
    const char *cursor = net_http_query(r, "cursor");

    (void)name;
    x->domain = mem_text(cursor ? cursor : "");
    post(relay, x);
}

void
admin_policy(struct relay *relay, struct net_http_request *r, const char *name)
{
    struct read_call *x;
    struct mail_domain domain;
    struct err err;

    if (!admin_domain(name, &domain, &err)) {
        admin_answer_failure(r, &err);
        return;
    }
    x = new_call(r, look_policy);
    x->domain = mem_text(domain.text);
    post(relay, x);
}

/* --- reports about TLS --- */

char *
admin_report_key(const char *day, const char *domain, struct err *err)
{
    struct mail_domain parsed;
    int64_t day_ms;

    if (!policy_tlsrpt_day_parse(slice_of(day), &day_ms)) {
        err_set(err, ERR_INPUT, "\"%.50s\" is no day: 2026-11-23", day);
        return NULL;
    }
    return admin_domain(domain, &parsed, err)
               ? mem_printf("%s %s", day, parsed.text)
               : NULL;
}

static bool
look_reports(struct read_call *x, struct queue_store *s, struct err *err)
{
    return admin_view_reports(s, x->domain, &x->found, err);
}

static bool
look_report(struct read_call *x, struct queue_store *s, struct err *err)
{
    return admin_view_report(s, x->domain, &x->found, err);
}

void
admin_reports(struct relay *relay, struct net_http_request *r, const char *name)
{
    struct read_call *x = new_call(r, look_reports);
    const char *cursor = net_http_query(r, "cursor");

    (void)name;
    x->domain = mem_text(cursor ? cursor : "");
    post(relay, x);
}

void
admin_report(struct relay *relay, struct net_http_request *r, const char *name)
{
    const char *domain = net_http_query(r, "domain");
    struct err err = {0};
    char *key = admin_report_key(name, domain ? domain : "", &err);
    struct read_call *x;

    if (!key) {
        admin_answer_failure(r, &err);
        return;
    }
    x = new_call(r, look_report);
    x->domain = key;
    post(relay, x);
}
