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
    RUN_MAX = 2000, /* recipients changed in one transaction */
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

/* How far it has come. */
struct progress {
    struct queue_bulk bulk; /* of the whole, or of one of the ids: */
    size_t next_id;         /* the one behind it */
    /* Of the first rows: what may be blocked and is to be tried again. */
    size_t destination_count, rows;
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
    struct progress made; /* by the runs that are over */
    struct progress run;  /* with the last one, which may be made twice */
    char *destinations[DESTINATIONS_MAX];
};

static void
cut_destinations(struct change_call *x, size_t count)
{
    while (x->run.destination_count > count)
        free(x->destinations[--x->run.destination_count]);
}

static void
add_destination(void *ctx, const struct queue_row *row)
{
    struct change_call *x = ctx;
    struct progress *p = &x->run;

    p->rows++;
    for (size_t i = 0; i < p->destination_count; i++)
        if (strcmp(x->destinations[i], row->destination) == 0)
            return;
    if (p->destination_count < DESTINATIONS_MAX)
        x->destinations[p->destination_count++] = mem_text(row->destination);
}

static bool
may_unblock(const struct change_call *x)
{
    return !x->dry && (x->verb->change == QUEUE_CHANGE_RETRY ||
                       x->verb->change == QUEUE_CHANGE_RELEASE);
}

/* Of the rows that are about to change. */
static bool
note_destinations(struct change_call *x, struct queue_store *store,
                  struct err *err)
{
    struct queue_cursor cursor = x->run.bulk.cursor;
    bool end;

    return !may_unblock(x) || x->run.rows >= ROWS_MAX ||
           queue_store_list(store, &x->run.bulk.filter, &cursor, ROWS_MAX,
                            add_destination, x, &end, err);
}

static void
begin_next(struct change_call *x)
{
    struct progress *p = &x->run;

    p->bulk.cursor = (struct queue_cursor){0};
    p->bulk.end = x->id_count > 0 && p->next_id == x->id_count;
    if (!p->bulk.end && x->id_count > 0)
        p->bulk.filter.id = x->ids[p->next_id++];
}

/* A run of the change, and of an id's recipients one at least; then it is over
 * or the next one follows. */
static bool
work(struct store_call *call, struct queue_store *store, struct err *err)
{
    struct change_call *x = own_container(call, struct change_call, call);
    struct progress *p = &x->run;
    uint64_t until;

    cut_destinations(x, x->made.destination_count);
    *p = x->made;
    until = p->bulk.count + (x->dry ? QUEUE_LOOKED_MAX : RUN_MAX);
    do {
        if (!note_destinations(x, store, err) ||
            !queue_store_bulk(store, &p->bulk, until - p->bulk.count, err))
            return false;
        if (p->bulk.end && x->id_count > 0)
            begin_next(x);
    } while (x->id_count > 0 && !p->bulk.end && p->bulk.count < until);
    return true;
}

static void
free_call(struct change_call *x)
{
    cut_destinations(x, 0);
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
    log_int(&line, "recipients", (int64_t)x->made.bulk.count);
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
    if (x->made.rows >= ROWS_MAX ||
        x->made.destination_count == DESTINATIONS_MAX)
        dispatch_unblock(x->relay->dispatch, NULL);
    for (size_t i = 0; i < x->made.destination_count; i++)
        dispatch_unblock(x->relay->dispatch, x->destinations[i]);
}

/* What the runs before have changed stays so, whatever became of the last. */
static void
finish(struct change_call *x)
{
    if (!x->dry && x->made.bulk.count > 0)
        apply(x);
    if (x->call.failed)
        admin_answer_failure(x->request, &x->call.err);
    else if (!x->made.bulk.end)
        admin_answer_error(x->request, 503, "the relay is at its end");
    else
        admin_answer_json(x->request, 200,
                          json_pack("{s:I, s:b}", "count",
                                    (json_int_t)x->made.bulk.count, "dry",
                                    x->dry));
    free_call(x);
}

static void
done(struct task *task)
{
    struct change_call *x = own_container(task, struct change_call, call.task);

    if (!x->call.failed)
        x->made = x->run;
    if (x->call.failed || x->made.bulk.end || !x->relay->store)
        finish(x);
    else
        store_thread_post(x->relay->store, &x->call);
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
    x->made.bulk = (struct queue_bulk){.change = x->verb->change,
                                       .filter = x->filter.queue,
                                       .now_ms = net_clock_steady(),
                                       .dry = x->dry};
    x->run = x->made;
    begin_next(x);
    x->made = x->run;
    x->call.work = work;
    x->call.task.run = done;
    x->call.home = &relay->inbox;
    store_thread_post(relay->store, &x->call);
}
