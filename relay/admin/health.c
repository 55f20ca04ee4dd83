#include "relay/admin/health.h"

#include "relay/admin/answer.h"
#include "relay/admin/routes.h"
#include "relay/daemon/worker.h"
#include "relay/watch/pulse.h"

/* --- the verdict --- */

struct check {
    const char *name;
    bool is_good;
    const char *wrong;
};

static bool
weigh(const struct check *checks, size_t count, const char *probe, bool verbose,
      struct buf *out)
{
    const struct check *first = NULL;

    for (size_t i = 0; i < count; i++) {
        const struct check *c = &checks[i];

        if (!c->is_good && !first)
            first = c;
        if (!verbose)
            continue;
        if (c->is_good)
            buf_printf(out, "[+]%s ok\n", c->name);
        else
            buf_printf(out, "[-]%s failed: %s\n", c->name, c->wrong);
    }
    if (verbose)
        buf_printf(out, "%s check %s\n", probe, first ? "failed" : "passed");
    else
        buf_printf(out, "%s\n", first ? first->wrong : "ok");
    return !first;
}

enum { THREAD_CHECKS = 2 };

static void
check_threads(const struct admin_health *h, struct check out[THREAD_CHECKS])
{
    out[0] = (struct check){"loops", h->loop_ms < PULSE_LOOP_LIMIT_MS,
                            "a worker's loop hangs"};
    out[1] = (struct check){"store-thread", h->store_ms < PULSE_STORE_LIMIT_MS,
                            "the store thread hangs"};
}

bool
admin_health_is_alive(const struct admin_health *h, bool verbose,
                      struct buf *out)
{
    struct check checks[THREAD_CHECKS];

    check_threads(h, checks);
    return weigh(checks, THREAD_CHECKS, "livez", verbose, out);
}

enum { READY_CHECKS = 3 + THREAD_CHECKS };

static void
check_ready(const struct admin_health *h, struct check out[READY_CHECKS])
{
    out[0] = (struct check){"listeners", !h->is_draining, "draining"};
    out[1] = (struct check){"store", h->can_commit, "the store can't commit"};
    out[2] = (struct check){"disk", h->has_room, "the disk is nearly full"};
    check_threads(h, &out[3]);
}

bool
admin_health_is_ready(const struct admin_health *h, bool verbose,
                      struct buf *out)
{
    struct check checks[READY_CHECKS];

    check_ready(h, checks);
    return weigh(checks, READY_CHECKS, "readyz", verbose, out);
}

/* --- the paths --- */

static struct admin_health
look(const struct relay *relay)
{
    struct admin_health h = {
        .loop_ms = pulse_age_ms(&relay->pulse),
        .store_ms = store_thread_age_ms(relay->store),
        .is_draining = atomic_load(&relay->is_draining),
        .can_commit = atomic_load(&relay->store_is_healthy),
        .has_room = store_thread_has_room(relay->store),
    };

    for (unsigned i = 0; i < relay->worker_count; i++) {
        int64_t age_ms = pulse_age_ms(&relay->workers[i]->pulse);

        if (age_ms > h.loop_ms)
            h.loop_ms = age_ms;
    }
    return h;
}

const char *
admin_health_trouble(const struct relay *relay)
{
    struct admin_health h = look(relay);
    struct check checks[READY_CHECKS];

    check_ready(&h, checks);
    for (size_t i = 0; i < READY_CHECKS; i++)
        if (!checks[i].is_good)
            return checks[i].wrong;
    return "";
}

typedef bool verdict_fn(const struct admin_health *h, bool verbose,
                        struct buf *out);

static void
answer(const struct relay *relay, struct net_http_request *r,
       verdict_fn *verdict)
{
    struct buf out scoped(buf_free) = {0};
    struct admin_health h = look(relay);
    bool is_good = verdict(&h, net_http_query(r, "verbose") != NULL, &out);

    admin_answer_text(r, is_good ? 200 : 503, buf_text(&out));
}

void
admin_livez(struct relay *relay, struct net_http_request *r, const char *name)
{
    (void)name;
    answer(relay, r, admin_health_is_alive);
}

void
admin_readyz(struct relay *relay, struct net_http_request *r, const char *name)
{
    (void)name;
    answer(relay, r, admin_health_is_ready);
}
