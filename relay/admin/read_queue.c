/* GET /v1/queue: turn by turn, so that a filter that lets little through does
 * not keep everybody else waiting. */
#include "relay/admin/answer.h"
#include "relay/admin/filter.h"
#include "relay/admin/routes.h"
#include "relay/admin/view.h"
#include "relay/base/mem.h"
#include "relay/net/timer.h"

#include <stdlib.h>

struct queue_call {
    struct store_call call;
    struct relay *relay;
    struct net_http_request *request;
    struct admin_filter filter;
    struct admin_page page; /* without the turn: */
    struct admin_page turn; /* which may be made twice */
};

static bool
work(struct store_call *call, struct queue_store *store, struct err *err)
{
    struct queue_call *x = own_container(call, struct queue_call, call);

    json_decref(x->turn.rows);
    x->turn = x->page;
    x->turn.rows = json_copy(x->page.rows);
    return admin_view_queue_turn(store, &x->filter.queue, &x->turn, err);
}

static void
end(struct queue_call *x)
{
    json_decref(x->page.rows);
    json_decref(x->turn.rows);
    admin_filter_done(&x->filter);
    free(x);
}

static void
done(struct task *task)
{
    struct queue_call *x = own_container(task, struct queue_call, call.task);

    if (x->call.failed) {
        admin_answer_failure(x->request, &x->call.err);
    } else if (admin_page_is_whole(&x->turn)) {
        admin_answer_json(x->request, 200, admin_page_json(&x->turn));
    } else if (!x->relay->store) {
        admin_answer_error(x->request, 503, "the relay is at its end");
    } else {
        json_decref(x->page.rows);
        x->page = x->turn;
        x->turn.rows = NULL;
        store_thread_post(x->relay->store, &x->call);
        return;
    }
    end(x);
}

static bool
read_query(struct net_http_request *r, struct queue_call *x, struct err *err)
{
    const char *cursor = net_http_query(r, "cursor");

    for (size_t i = 0; i < ADMIN_FILTER_COUNT; i++) {
        const char *value = net_http_query(r, admin_filter_names[i]);

        if (value && !admin_filter_set(&x->filter, admin_filter_names[i], value,
                                       net_clock_steady(), err))
            return false;
    }
    return admin_cursor_parse(cursor ? cursor : "", &x->page.cursor, err);
}

void
admin_queue(struct relay *relay, struct net_http_request *r, const char *name)
{
    struct queue_call *x = mem_new(struct queue_call);
    struct err err;

    (void)name;
    x->relay = relay;
    x->request = r;
    x->page.rows = json_array();
    x->call.work = work;
    x->call.task.run = done;
    x->call.home = &relay->inbox;
    if (read_query(r, x, &err)) {
        store_thread_post(relay->store, &x->call);
        return;
    }
    end(x);
    admin_answer_failure(r, &err);
}
