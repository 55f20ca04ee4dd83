#include "relay/daemon/cert_watch.h"

#include "relay/base/mem.h"
#include "relay/daemon/worker.h"

#include <stdlib.h>
#include <unistd.h>

enum { DAY_S = 24 * 60 * 60 };

struct cert_watch {
    struct relay *relay;
    struct net_timer *timer;
    uint64_t used; /* stamp of the files as they were read last */
    uint64_t seen; /* and at the last look */
    int64_t read_ms;
    struct server_tls_facts facts;
    int64_t warned_ms; /* 0: never */
};

/* --- what is said of them --- */

static int64_t
days_left(const struct cert_watch *w)
{
    return (w->facts.not_after - net_clock_wall() / 1000) / DAY_S;
}

static void
log_error(const struct cert_watch *w, const char *error)
{
    struct log_line line;

    log_begin(&line, w->relay->log, LOG_LEVEL_ERROR, "cert.reload");
    log_text(&line, "error", error);
    log_end(&line);
}

static void
log_reload(const struct cert_watch *w)
{
    struct log_line line;

    log_begin(&line, w->relay->log, LOG_LEVEL_INFO, "cert.reload");
    log_text(&line, "result", "ok");
    log_text(&line, "file", w->facts.file);
    log_int(&line, "days", days_left(w));
    log_end(&line);
}

/* Once a day, and when a certificate is new. */
static void
warn(struct cert_watch *w)
{
    int64_t now_ms = net_clock_steady();
    int64_t left_s = w->facts.not_after - net_clock_wall() / 1000;
    struct log_line line;

    if (w->facts.not_after == 0 || left_s >= CERT_WATCH_WARN_DAYS * DAY_S ||
        (w->warned_ms && now_ms - w->warned_ms < DAY_S * 1000LL))
        return;
    w->warned_ms = now_ms;
    log_begin(&line, w->relay->log,
              left_s > 0 ? LOG_LEVEL_WARNING : LOG_LEVEL_ERROR, "cert.expiry");
    log_text(&line, "file", w->facts.file);
    log_int(&line, "days", days_left(w));
    log_end(&line);
}

static void
take_facts(struct cert_watch *w, const struct server_tls_facts *facts)
{
    w->facts = *facts;
    w->warned_ms = 0;
    w->read_ms = net_clock_steady();
    warn(w);
}

/* --- reading them --- */

static bool
read_anew(struct cert_watch *w)
{
    struct relay *relay = w->relay;
    struct server_tls **sets =
        mem_array(struct server_tls *, relay->worker_count);
    struct server_tls_facts facts;
    struct err err;
    bool ok =
        server_tls_load(relay->config, sets, relay->worker_count, &facts, &err);

    for (unsigned i = 0; ok && i < relay->worker_count; i++)
        worker_show(relay->workers[i], sets[i]);
    free(sets);
    if (ok)
        take_facts(w, &facts);
    else
        log_error(w, err.text);
    return ok;
}

/* Whoever writes two files writes one first: what has changed is read once it
 * has stopped to change. */
static void
look(void *ctx)
{
    struct cert_watch *w = ctx;
    uint64_t now = server_tls_stamp(w->relay->config);
    bool is_settled = now == w->seen;
    bool is_old = net_clock_steady() - w->read_ms > CERT_WATCH_RENEW_MS;

    w->seen = now;
    if (now != w->used && is_settled) {
        w->used = now;
        if (read_anew(w))
            log_reload(w);
    } else if (now == w->used && is_old && w->facts.not_after != 0) {
        w->read_ms = net_clock_steady();
        (void)read_anew(w);
    }
    warn(w);
    net_timer_set(w->timer, CERT_WATCH_MS);
}

/* --- life --- */

static void
check_readable(void *ctx, const char *file)
{
    struct cert_watch *w = ctx;
    scoped(own_free) char *why = NULL;

    if (access(file, R_OK) == 0)
        return;
    why = mem_printf("%s: user \"%s\" can't read it, so that a new one won't "
                     "be taken",
                     file, w->relay->config->user);
    log_error(w, why);
}

struct cert_watch *
cert_watch_new(struct relay *relay, const struct server_tls_facts *facts)
{
    struct cert_watch *w = mem_new(struct cert_watch);

    w->relay = relay;
    w->timer = net_timer_new(&relay->loop, look, w);
    cert_watch_configure(w, facts);
    server_tls_files(relay->config, check_readable, w);
    return w;
}

void
cert_watch_configure(struct cert_watch *w, const struct server_tls_facts *facts)
{
    w->used = w->seen = facts->stamp;
    take_facts(w, facts);
    net_timer_set(w->timer, CERT_WATCH_MS);
}

const struct server_tls_facts *
cert_watch_facts(const struct cert_watch *w)
{
    return &w->facts;
}

void
cert_watch_free(struct cert_watch **slot)
{
    struct cert_watch *w = take(slot);

    if (!w)
        return;
    net_timer_free(&w->timer);
    free(w);
}
