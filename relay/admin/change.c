/* POST /v1/queue/retry, hold, release, delete, bounce. */
#include "relay/admin/answer.h"
#include "relay/admin/filter.h"
#include "relay/admin/json.h"
#include "relay/admin/routes.h"
#include "relay/base/mem.h"
#include "relay/daemon/dispatch.h"
#include "relay/net/timer.h"

#include <stdlib.h>

enum {
    IDS_MAX = 1000, /* named in one request */
    ROWS_MAX = 200, /* of what changes, looked at for destinations */
    DESTINATIONS_MAX = 16,
};

static const struct verb {
    const char *name;
    enum queue_change change;
} verbs[] = {
    {"retry", QUEUE_CHANGE_RETRY},     {"hold", QUEUE_CHANGE_HOLD},
    {"release", QUEUE_CHANGE_RELEASE}, {"delete", QUEUE_CHANGE_DELETE},
    {"bounce", QUEUE_CHANGE_BOUNCE},
};

struct change_call {
    struct store_call call;
    struct relay *relay;
    struct net_http_request *request;
    const struct verb *verb;
    struct admin_filter filter;
    uint64_t *ids; /* each with the filter; none: the filter alone */
    size_t id_count;
    bool dry;
    uint64_t count;
    /* Of the first rows: what may be blocked and is to be tried again. */
    char *destinations[DESTINATIONS_MAX];
    size_t destination_count, rows;
};

static void
clear_destinations(struct change_call *x)
{
    while (x->destination_count > 0)
        free(x->destinations[--x->destination_count]);
    x->rows = 0;
}

static void
add_destination(void *ctx, const struct queue_row *row)
{
    struct change_call *x = ctx;

    x->rows++;
    for (size_t i = 0; i < x->destination_count; i++)
        if (strcmp(x->destinations[i], row->destination) == 0)
            return;
    if (x->destination_count < DESTINATIONS_MAX)
        x->destinations[x->destination_count++] = mem_text(row->destination);
}

static bool
may_unblock(const struct change_call *x)
{
    return !x->dry && (x->verb->change == QUEUE_CHANGE_RETRY ||
                       x->verb->change == QUEUE_CHANGE_RELEASE);
}

static bool
change(struct change_call *x, const struct queue_filter *f,
       struct queue_store *store, struct err *err)
{
    uint64_t count;
    bool end;

    if (may_unblock(x) && x->rows < ROWS_MAX &&
        !queue_store_list(store, f, 0, 0, ROWS_MAX, add_destination, x, &end,
                          err))
        return false;
    if (!queue_store_change(store, x->verb->change, f, net_clock_steady(),
                            x->dry, &count, err))
        return false;
    x->count += count;
    return true;
}

static bool
work(struct store_call *call, struct queue_store *store, struct err *err)
{
    struct change_call *x = own_container(call, struct change_call, call);
    struct queue_filter f = x->filter.queue;

    x->count = 0;
    clear_destinations(x);
    for (size_t i = 0; i < x->id_count || i == 0; i++) {
        if (x->id_count > 0)
            f.id = x->ids[i];
        if (!change(x, &f, store, err))
            return false;
    }
    return true;
}

static void
free_call(struct change_call *x)
{
    clear_destinations(x);
    admin_filter_done(&x->filter);
    free(x->ids);
    free(x);
}

static void
tell_log(const struct change_call *x)
{
    struct log_line line;

    log_begin(&line, x->relay->log, LOG_LEVEL_INFO, "queue.change");
    log_text(&line, "change", x->verb->name);
    log_int(&line, "recipients", (int64_t)x->count);
    if (x->id_count == 1)
        log_id(&line, "mid", x->ids[0]);
    log_end(&line);
}

/* What was made due is looked for at once, also where nobody could be reached
 * before: everywhere, when it is too much to say where. */
static void
apply(const struct change_call *x)
{
    tell_log(x);
    if (!x->relay->store) /* the relay is at its end */
        return;
    if (x->verb->change == QUEUE_CHANGE_BOUNCE)
        dispatch_unblock(x->relay->dispatch, QUEUE_ENDED);
    if (!may_unblock(x))
        return;
    if (x->rows >= ROWS_MAX || x->destination_count == DESTINATIONS_MAX)
        dispatch_unblock(x->relay->dispatch, NULL);
    for (size_t i = 0; i < x->destination_count; i++)
        dispatch_unblock(x->relay->dispatch, x->destinations[i]);
}

static void
done(struct task *task)
{
    struct change_call *x = own_container(task, struct change_call, call.task);

    if (x->call.failed) {
        admin_answer_failure(x->request, &x->call.err);
    } else {
        if (!x->dry && x->count > 0)
            apply(x);
        admin_answer_json(x->request, 200,
                          json_pack("{s:I, s:b}", "count", (json_int_t)x->count,
                                    "dry", x->dry));
    }
    free_call(x);
}

static bool
set_ids(struct change_call *x, json_t *ids, struct err *err)
{
    size_t n = json_array_size(ids);

    if (!json_is_array(ids) || n == 0 || n > IDS_MAX)
        return err_set(err, ERR_INPUT, "ids: a list of 1 to %d", IDS_MAX);
    x->ids = mem_array(uint64_t, n);
    for (size_t i = 0; i < n; i++) {
        const char *id = json_string_value(json_array_get(ids, i));
        struct admin_filter one = {0};

        if (!id)
            return err_set(err, ERR_INPUT, "ids: texts only");
        if (!admin_filter_set(&one, "id", id, 0, err))
            return false;
        x->ids[x->id_count++] = one.queue.id;
    }
    return true;
}

static bool
set_one(struct change_call *x, const char *key, json_t *value, bool *all,
        struct err *err)
{
    if (strcmp(key, "ids") == 0)
        return set_ids(x, value, err);
    if (strcmp(key, "all") == 0 || strcmp(key, "dry") == 0) {
        *(key[0] == 'a' ? all : &x->dry) = json_is_true(value);
        return json_is_boolean(value) ||
               err_set(err, ERR_INPUT, "%s: true or false", key);
    }
    if (!json_is_string(value))
        return err_set(err, ERR_INPUT, "%s: a text", key);
    return admin_filter_set(&x->filter, key, json_string_value(value),
                            net_clock_steady(), err);
}

/* {"all": true}, {"ids": [...]}, {"domain": ...}: nothing is taken to mean
 * everything. */
static bool
read_body(struct change_call *x, struct slice text, struct err *err)
{
    json_auto_t *body = admin_json_read(text, err);
    bool all = false;
    const char *key;
    json_t *value;

    if (!body)
        return false;
    json_object_foreach(
        body, key, value) if (!set_one(x, key, value, &all, err)) return false;
    if (!all && x->id_count == 0 && admin_filter_is_empty(&x->filter))
        return err_set(err, ERR_INPUT,
                       "say which: ids, a filter, or \"all\": true");
    return true;
}

void
admin_change(struct relay *relay, struct net_http_request *r, const char *name)
{
    struct change_call *x = mem_new(struct change_call);
    struct err err = {0};

    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
        if (strcmp(verbs[i].name, name) == 0)
            x->verb = &verbs[i];
    if (!x->verb)
        (void)err_set(&err, ERR_MISSING, "the queue has no verb \"%s\"", name);
    if (!x->verb || !read_body(x, net_http_body(r), &err)) {
        free_call(x);
        admin_answer_failure(r, &err);
        return;
    }
    x->relay = relay;
    x->request = r;
    x->call.work = work;
    x->call.task.run = done;
    x->call.home = &relay->inbox;
    store_thread_post(relay->store, &x->call);
}
