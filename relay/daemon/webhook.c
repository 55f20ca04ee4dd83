#include "relay/daemon/webhook.h"

#include "relay/base/mem.h"
#include "relay/net/timer.h"
#include "relay/watch/webhook_event.h"
#include "relay/watch/webhook_post.h"
#include "relay/watch/webhook_sign.h"

#include <stdlib.h>

enum state {
    PAUSED,    /* until it is configured */
    IDLE,      /* nothing to tell */
    GATHERING, /* soon */
    READING,
    POSTING,
    DROPPING,
    WAITING, /* it failed; again later */
};

/* Reads a body out of the feed, or drops what was told. */
struct feed_call {
    struct store_call call;
    struct webhook *hook; /* NULL: it is gone */
    char *name;
    uint64_t last;
    int64_t before_ms; /* 0: nothing is given up */
    uint64_t given_up;
    struct webhook_batch batch;
};

struct webhook {
    struct relay *relay;
    const struct config_webhook *config;
    struct net_dns *dns;
    struct net_tls *tls;
    char *name;
    enum state state;
    struct net_timer *timer;
    struct feed_call *call;
    struct webhook_post *post;
    uint64_t backlog;
    uint64_t last;  /* of the body under way; a failed one stays as it is */
    uint64_t count; /* its results */
    bool is_full;   /* it was: there may be more */
    bool has_news;  /* since it was read */
    unsigned failures;
    char *why;
    int64_t next_ms, told_ms, trimmed_ms;
};

static void read_feed(struct webhook *h);

/* --- what is said of it --- */

static void
log_result(const struct webhook *h, enum log_level level, const char *result,
           uint64_t events, const char *why)
{
    struct log_line line;

    log_begin(&line, h->relay->log, level, "webhook.delivery");
    log_text(&line, "webhook", h->name);
    log_text(&line, "result", result);
    log_int(&line, "events", (int64_t)events);
    log_text(&line, "reason", why);
    log_int(&line, "backlog", (int64_t)h->backlog);
    log_end(&line);
}

static void
count_result(const struct webhook *h, const char *result, uint64_t n)
{
    metric_add(h->relay->metrics, METRICS_WEBHOOKS,
               (const char *const[]){h->name, result, NULL}, n);
}

static void
take_off(struct webhook *h, uint64_t n)
{
    h->backlog -= n < h->backlog ? n : h->backlog;
}

static void
tell_given_up(struct webhook *h, uint64_t n)
{
    if (n == 0)
        return;
    take_off(h, n);
    log_result(h, LOG_LEVEL_ERROR, "dropped", n,
               "nobody took them for a day, or there were too many");
    count_result(h, "dropped", n);
}

/* --- when --- */

int64_t
webhook_again_ms(unsigned failures, uint32_t random)
{
    int64_t ms = WEBHOOK_AGAIN_MS;

    for (; failures > 1 && ms < WEBHOOK_AGAIN_MAX_MS; failures--)
        ms *= 2;
    if (ms > WEBHOOK_AGAIN_MAX_MS)
        ms = WEBHOOK_AGAIN_MAX_MS;
    return ms - ms / 5 + random % (2 * ms / 5 + 1);
}

static void
set_state(struct webhook *h, enum state state, int64_t ms)
{
    h->state = state;
    h->next_ms = state == WAITING ? net_clock_wall() + ms : 0;
    net_timer_set(h->timer, (uint64_t)ms);
}

static void
go_on(struct webhook *h)
{
    if (!h->config)
        h->state = PAUSED;
    else if (h->is_full)
        read_feed(h);
    else if (h->has_news || h->backlog > 0)
        set_state(h, GATHERING, WEBHOOK_GATHER_MS);
    else
        h->state = IDLE;
}

static void
fail(struct webhook *h, const char *why)
{
    int64_t ms = webhook_again_ms(++h->failures, arc4random());

    free(h->why);
    h->why = mem_text(why);
    log_result(h, LOG_LEVEL_WARNING, "failed", h->count, why);
    count_result(h, "failed", 1);
    set_state(h, WAITING, ms);
}

/* --- the store --- */

static bool
work_read(struct store_call *call, struct queue_store *store, struct err *err)
{
    struct feed_call *x = own_container(call, struct feed_call, call);

    webhook_batch_done(&x->batch);
    x->given_up = 0;
    if (x->before_ms != 0 &&
        !queue_store_feed_trim(store, x->name, x->before_ms, QUEUE_FEED_MAX,
                               &x->given_up, err))
        return false;
    if (!queue_store_feed_list(store, x->name, x->last, WEBHOOK_EVENT_COUNT_MAX,
                               webhook_batch_add, &x->batch, err))
        return false;
    webhook_batch_end(&x->batch);
    return true;
}

static bool
work_drop(struct store_call *call, struct queue_store *store, struct err *err)
{
    struct feed_call *x = own_container(call, struct feed_call, call);

    return queue_store_feed_drop(store, x->name, x->last, err);
}

static void
free_call(struct feed_call *x)
{
    webhook_batch_done(&x->batch);
    free(x->name);
    free(x);
}

static void
send_call(struct webhook *h, struct feed_call *x)
{
    x->hook = h;
    x->name = mem_text(h->name);
    x->call.home = &h->relay->inbox;
    h->call = x;
    store_thread_post(h->relay->store, &x->call);
}

static void
dropped(struct task *task)
{
    struct feed_call *x = own_container(task, struct feed_call, call.task);
    struct webhook *h = x->hook;

    if (h) {
        h->call = NULL;
        if (x->call.failed) {
            fail(h, x->call.err.text); /* it will be told once more */
        } else {
            take_off(h, h->count);
            h->last = h->count = 0;
            go_on(h);
        }
    }
    free_call(x);
}

static void
drop_told(struct webhook *h)
{
    struct feed_call *x = mem_new(struct feed_call);

    h->state = DROPPING;
    x->last = h->last;
    x->call.work = work_drop;
    x->call.task.run = dropped;
    send_call(h, x);
}

/* --- a body --- */

static void
posted(void *ctx, const struct err *err)
{
    struct webhook *h = ctx;

    if (err) {
        fail(h, err->text);
        return;
    }
    log_result(h, h->failures > 0 ? LOG_LEVEL_INFO : LOG_LEVEL_DEBUG, "ok",
               h->count, NULL);
    count_result(h, "ok", h->count);
    h->failures = 0;
    own_free(&h->why);
    h->told_ms = net_clock_wall();
    drop_told(h);
}

static void
post(struct webhook *h, struct webhook_batch *batch)
{
    const struct config_webhook *c = h->config;
    struct webhook_place place = {
        .dns = h->dns,
        .tls = h->tls,
        .host = c->host,
        .port = c->port,
        .path = c->path,
        .ipv6 = h->relay->config->delivery.ipv6,
    };
    struct slice key = {(const char *)c->key, c->key_len};
    struct buf fields scoped(buf_free) = {0};
    char id[WEBHOOK_BATCH_ID_SIZE];

    h->state = POSTING;
    h->last = batch->last;
    h->count = batch->count;
    h->is_full = batch->is_full;
    webhook_sign(key, webhook_batch_id(batch, id), net_clock_wall() / 1000,
                 buf_slice(&batch->body), &fields);
    webhook_post_start(&h->post, &h->relay->loop, &place, buf_text(&fields),
                       buf_slice(&batch->body), posted, h);
}

static void
read_nothing(struct webhook *h)
{
    bool was_held = h->last != 0; /* to a body that was given up */

    h->last = h->count = 0;
    h->is_full = false;
    if (was_held || h->has_news) {
        set_state(h, GATHERING, WEBHOOK_GATHER_MS);
        return;
    }
    h->backlog = 0;
    h->state = IDLE;
}

static void
has_read(struct task *task)
{
    struct feed_call *x = own_container(task, struct feed_call, call.task);
    struct webhook *h = x->hook;

    if (h) {
        h->call = NULL;
        tell_given_up(h, x->given_up);
        if (h->state == PAUSED)
            ;
        else if (x->call.failed)
            fail(h, x->call.err.text);
        else if (x->batch.count == 0)
            read_nothing(h);
        else
            post(h, &x->batch);
    }
    free_call(x);
}

static void
read_feed(struct webhook *h)
{
    struct feed_call *x = mem_new(struct feed_call);
    int64_t now = net_clock_wall();

    h->state = READING;
    h->next_ms = 0;
    h->has_news = false;
    x->last = h->last != 0 ? h->last : UINT64_MAX;
    if (now - h->trimmed_ms >= WEBHOOK_TRIM_MS || h->failures > 0) {
        h->trimmed_ms = now;
        x->before_ms = now - WEBHOOK_KEEP_MS;
    }
    x->call.work = work_read;
    x->call.task.run = has_read;
    send_call(h, x);
}

static void
tick(void *ctx)
{
    read_feed(ctx);
}

/* --- its life --- */

struct webhook *
webhook_new(struct relay *relay, const char *name)
{
    struct webhook *h = mem_new(struct webhook);

    h->relay = relay;
    h->name = mem_text(name);
    h->timer = net_timer_new(&relay->loop, tick, h);
    return h;
}

void
webhook_free(struct webhook **place)
{
    struct webhook *h = take(place);

    if (!h)
        return;
    if (h->call)
        h->call->hook = NULL;
    webhook_post_cancel(&h->post);
    net_timer_free(&h->timer);
    net_tls_free(&h->tls);
    free(h->why);
    free(h->name);
    free(h);
}

void
webhook_pause(struct webhook *h)
{
    /* What is being dropped has been told: that goes its way. */
    if (h->call && h->state != DROPPING) {
        h->call->hook = NULL;
        h->call = NULL;
    }
    webhook_post_cancel(&h->post);
    net_timer_stop(h->timer);
    if (h->state != DROPPING)
        h->state = PAUSED;
    net_tls_free(&h->tls);
    h->config = NULL;
    h->dns = NULL;
}

bool
webhook_configure(struct webhook *h, const struct config_webhook *config,
                  struct net_dns *dns, struct err *err)
{
    h->tls = config->is_https ? net_tls_client(config->ca, err) : NULL;
    if (config->is_https && !h->tls)
        return false;
    h->config = config;
    h->dns = config->is_loopback ? NULL : dns;
    if (h->state == PAUSED)
        set_state(h, GATHERING, WEBHOOK_GATHER_MS);
    return true;
}

void
webhook_stock(struct webhook *h, uint64_t count)
{
    h->backlog = count;
}

void
webhook_more(struct webhook *h)
{
    h->backlog++;
    h->has_news = true;
    if (h->state == IDLE)
        set_state(h, GATHERING, WEBHOOK_GATHER_MS);
}

const char *
webhook_name(const struct webhook *h)
{
    return h->name;
}

struct webhook_state
webhook_state(const struct webhook *h)
{
    return (struct webhook_state){
        .name = h->name,
        .backlog = h->backlog,
        .failures = h->failures,
        .why = h->why ? h->why : "",
        .next_ms = h->next_ms,
        .told_ms = h->told_ms,
    };
}
