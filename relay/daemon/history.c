#include "relay/daemon/history.h"

#include "relay/base/mem.h"
#include "relay/net/timer.h"

#include <stdlib.h>

struct step {
    struct history_sample sample;
    struct spread delays;
};

struct history {
    struct relay *relay;
    struct net_timer *timer;
    struct step steps[HISTORY_SAMPLES];
    size_t count, next;              /* `next`: where the next one goes */
    struct spread delays;            /* since the last sample */
    uint64_t before[HISTORY_COUNTS]; /* totals at the last sample */
    struct store_call call;
    struct queue_counts looked; /* what the call brings */
    bool is_under_way;
};

/* --- taking samples --- */

static void
count_all(const struct history *h, uint64_t out[HISTORY_COUNTS])
{
    struct metric_set *m = h->relay->metrics;

    out[HISTORY_ACCEPTED] = metric_total(m, METRICS_ACCEPTED, NULL);
    out[HISTORY_REFUSED] = metric_total(m, METRICS_REFUSED, NULL);
    out[HISTORY_SENT] = metric_total(m, METRICS_RESULTS, "sent");
    out[HISTORY_DEFERRED] = metric_total(m, METRICS_RESULTS, "deferred");
    out[HISTORY_BOUNCED] = metric_total(m, METRICS_RESULTS, "bounced") +
                           metric_total(m, METRICS_RESULTS, "expired");
}

/* The step that was taken `ago` steps before the last one. */
static const struct step *
step_at(const struct history *h, size_t ago)
{
    return &h->steps[(h->next + HISTORY_SAMPLES - 1 - ago) % HISTORY_SAMPLES];
}

static struct history_delay
summary(const struct spread *s)
{
    return (struct history_delay){
        .count = spread_total(s),
        .p50_ms = spread_quantile(s, 500),
        .p95_ms = spread_quantile(s, 950),
        .p99_ms = spread_quantile(s, 990),
    };
}

static struct history_delay
last_minute(const struct history *h)
{
    struct spread sum = h->delays;

    for (size_t i = 0; i < HISTORY_MINUTE - 1 && i < h->count; i++)
        spread_merge(&sum, &step_at(h, i)->delays);
    return summary(&sum);
}

static void
add_sample(struct history *h)
{
    struct step *step = &h->steps[h->next];
    struct history_sample *x = &step->sample;
    uint64_t now[HISTORY_COUNTS];

    *x = (struct history_sample){
        .at_ms = net_clock_wall(),
        .queue = h->looked,
        .minute = last_minute(h),
    };
    count_all(h, now);
    for (size_t i = 0; i < HISTORY_COUNTS; i++) {
        x->count[i] = now[i] - h->before[i];
        h->before[i] = now[i];
    }
    step->delays = h->delays;
    h->delays = (struct spread){0};
    h->next = (h->next + 1) % HISTORY_SAMPLES;
    if (h->count < HISTORY_SAMPLES)
        h->count++;
}

static bool
work_count(struct store_call *call, struct queue_store *store, struct err *err)
{
    struct history *h = own_container(call, struct history, call);

    return queue_store_count(store, &h->looked, err);
}

/* A store that can't be asked has the numbers of the last time. */
static void
counted(struct task *task)
{
    struct history *h = own_container(task, struct history, call.task);

    h->is_under_way = false;
    add_sample(h);
}

static void
tick(void *ctx)
{
    struct history *h = ctx;

    net_timer_set(h->timer, HISTORY_STEP_MS);
    if (h->is_under_way || !h->relay->store)
        return;
    h->is_under_way = true;
    h->call = (struct store_call){
        .work = work_count, .task.run = counted, .home = &h->relay->inbox};
    store_thread_post(h->relay->store, &h->call);
}

struct history *
history_new(struct relay *relay)
{
    struct history *h = mem_new(struct history);

    h->relay = relay;
    h->timer = net_timer_new(&relay->loop, tick, h);
    net_timer_set(h->timer, 0);
    return h;
}

void
history_free(struct history **place)
{
    struct history *h = take(place);

    if (!h)
        return;
    net_timer_free(&h->timer);
    free(h);
}

/* --- telling --- */

void
history_delivered(struct history *h, int64_t delay_ms)
{
    spread_add(&h->delays, delay_ms);
}

void
history_each(const struct history *h, history_fn *fn, void *ctx)
{
    for (size_t i = h->count; i > 0; i--)
        fn(ctx, &step_at(h, i - 1)->sample);
}

struct history_delay
history_hour(const struct history *h)
{
    struct spread sum = h->delays;

    for (size_t i = 0; i < h->count; i++)
        spread_merge(&sum, &step_at(h, i)->delays);
    return summary(&sum);
}
