#include "relay/daemon/absence.h"

#include "queue/store.h"
#include "relay/base/mem.h"
#include "relay/daemon/relay.h"
#include "relay/net/timer.h"

#include <inttypes.h>
#include <stdlib.h>

static const char shelf[] = "absence";

struct absence {
    struct relay *relay;
    struct net_timer *timer;
};

/* 0: it is not known. */
static bool
get(struct queue_store *store, const char *key, int64_t *ms, struct err *err)
{
    scoped(buf_free) struct buf text = {0};
    struct err missing = {0};

    *ms = 0;
    if (queue_store_shelf_get(store, shelf, key, &text, &missing)) {
        *ms = strtoll(buf_text(&text), NULL, 10);
        return true;
    }
    *err = missing;
    return missing.kind == ERR_MISSING;
}

static bool
put(struct queue_store *store, const char *key, int64_t ms, struct err *err)
{
    scoped(buf_free) struct buf text = {0};

    buf_printf(&text, "%" PRId64, ms);
    return queue_store_shelf_put(store, shelf, key, buf_slice(&text), 0, err);
}

bool
absence_end(struct queue_store *store, int64_t now_ms, int64_t *from_ms,
            struct err *err)
{
    int64_t seen_ms;

    if (!get(store, "seen", &seen_ms, err) || !get(store, "from", from_ms, err))
        return false;
    if (seen_ms > 0 && now_ms - seen_ms > ABSENCE_MAX_MS)
        *from_ms = now_ms;
    else if (*from_ms > now_ms)
        *from_ms = 0; /* the clock was ahead, and is right again */
    return put(store, "seen", now_ms, err) && put(store, "from", *from_ms, err);
}

/* --- while it runs --- */

static bool
work_note(struct store_call *call, struct queue_store *store, struct err *err)
{
    (void)call;
    return put(store, "seen", net_clock_steady(), err);
}

/* One that could not be written is written the next time. */
static void
noted(struct task *task)
{
    free(own_container(task, struct store_call, task));
}

static void
note(void *ctx)
{
    struct absence *a = ctx;
    struct store_call *call = mem_new(struct store_call);

    call->work = work_note;
    call->grows = true; /* it is not worth the room that is kept */
    call->task.run = noted;
    store_thread_post(a->relay->store, call);
    net_timer_set(a->timer, ABSENCE_NOTE_MS);
}

struct absence *
absence_watch(struct relay *relay)
{
    struct absence *a = mem_new(struct absence);

    a->relay = relay;
    a->timer = net_timer_new(&relay->loop, note, a);
    net_timer_set(a->timer, ABSENCE_NOTE_MS);
    return a;
}

void
absence_free(struct absence **slot)
{
    struct absence *a = take(slot);

    if (!a)
        return;
    net_timer_free(&a->timer);
    free(a);
}
