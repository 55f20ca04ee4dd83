#include "relay/daemon/token_keeper.h"

#include "relay/base/mem.h"
#include "relay/base/secret.h"
#include "relay/daemon/token_shelf.h"
#include "relay/net/timer.h"
#include "relay/watch/metrics.h"

#include <stdlib.h>

enum {
    LEAST_MS = 1000, /* between two questions */
    JITTER_PART = 4,
};

struct load_call;

struct token_keeper {
    struct relay *relay;
    token_keeper_fn *changed;
    void *ctx;
    char *route, *host, *path;
    struct token_fetch_place place;
    char *client_id, *client_secret, *first_refresh, *scope;
    struct token_shelf token; /* access NULL: there is none */
    bool is_failed;
    struct err err; /* then */
    int64_t again_ms, asked_ms;
    struct load_call *load; /* under way */
    bool must_load;         /* what is kept could not be read */
    struct token_fetch *fetch;
    struct net_timer *timer;
};

/* --- the store --- */

struct load_call {
    struct store_call call;
    struct token_keeper *keeper; /* NULL: it is gone */
    char *route;
    struct buf text;
};

struct save_call {
    struct store_call call;
    struct relay *relay;
    char *route;
    struct buf text;
    int64_t expires_ms;
};

static bool
work_save(struct store_call *call, struct queue_store *store, struct err *err)
{
    struct save_call *x = own_container(call, struct save_call, call);

    return queue_store_shelf_put(store, TOKEN_KEEPER_SHELF, x->route,
                                 buf_slice(&x->text), x->expires_ms, err);
}

/* Without it the next start asks anew; only a rotated refresh token is
 * missed then. */
static void
saved(struct task *task)
{
    struct save_call *x = own_container(task, struct save_call, call.task);
    struct log_line line;

    if (x->call.failed) {
        log_begin(&line, x->relay->log, LOG_LEVEL_ERROR, "oauth.token");
        log_text(&line, "route", x->route);
        log_text(&line, "result", "not kept");
        log_text(&line, "reason", x->call.err.text);
        log_end(&line);
    }
    secret_buf_free(&x->text);
    free(x->route);
    free(x);
}

static void
save(struct token_keeper *k)
{
    struct save_call *x = mem_new(struct save_call);

    x->relay = k->relay;
    x->route = mem_text(k->route);
    x->expires_ms = k->token.expires_ms;
    token_shelf_format(&k->token, &x->text);
    x->call.work = work_save;
    x->call.task.run = saved;
    x->call.home = &k->relay->inbox;
    store_thread_post(k->relay->store, &x->call);
}

/* --- asking --- */

static void ask(struct token_keeper *k);
static void load(struct token_keeper *k);

static void
tell(const struct token_keeper *k, const char *result, const char *why)
{
    struct log_line line;

    metrics_count(k->relay->metrics, METRICS_TOKENS, k->route, result);
    log_begin(&line, k->relay->log, why ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO,
              "oauth.token");
    log_text(&line, "route", k->route);
    log_text(&line, "result", result);
    log_text(&line, "reason", why);
    if (!why)
        log_int(&line, "expires_in_s",
                (k->token.expires_ms - net_clock_steady()) / 1000);
    log_end(&line);
}

static bool
is_alive(const struct token_keeper *k)
{
    return k->token.access && net_clock_steady() < k->token.expires_ms;
}

/* At four fifths of its life. */
static void
set_renewal(struct token_keeper *k)
{
    int64_t life = k->token.expires_ms - k->token.obtained_ms;
    int64_t due = k->token.obtained_ms + life / 5 * 4 - net_clock_steady();

    net_timer_set(k->timer, (uint64_t)(due > LEAST_MS ? due : LEAST_MS));
}

/* A quarter more or less, so that many relays do not ask as one. */
static int64_t
jittered(int64_t ms)
{
    uint32_t spread = (uint32_t)(ms / JITTER_PART);

    return ms - spread + arc4random_uniform(2 * spread + 1);
}

static void
failed(struct token_keeper *k, const struct err *err)
{
    bool was_alive = is_alive(k);

    k->is_failed = true;
    k->err = *err;
    net_timer_set(k->timer, (uint64_t)jittered(k->again_ms));
    k->again_ms = k->again_ms * 2 < TOKEN_KEEPER_AGAIN_MAX_MS
                      ? k->again_ms * 2
                      : TOKEN_KEEPER_AGAIN_MAX_MS;
    tell(k, "failed", err->text);
    if (!was_alive)
        k->changed(k->ctx);
}

static void
granted(void *ctx, struct token_grant *grant, const struct err *err)
{
    struct token_keeper *k = ctx;

    if (err) {
        failed(k, err);
        return;
    }
    secret_text_free(&k->token.access);
    k->token.access = take(&grant->access);
    if (grant->refresh) {
        secret_text_free(&k->token.refresh);
        k->token.refresh = take(&grant->refresh);
    }
    k->token.obtained_ms = net_clock_steady();
    k->token.expires_ms = k->token.obtained_ms + grant->life_s * 1000;
    k->is_failed = false;
    k->err = (struct err){0};
    k->again_ms = TOKEN_KEEPER_AGAIN_MS;
    save(k);
    set_renewal(k);
    tell(k, "ok", NULL);
    k->changed(k->ctx);
}

static void
ask(struct token_keeper *k)
{
    struct token_grant_ask words = {
        .client_id = k->client_id,
        .client_secret = k->client_secret,
        .refresh_token = k->token.refresh ? k->token.refresh : k->first_refresh,
        .scope = k->scope,
    };

    if (k->fetch || k->load || atomic_load(&k->relay->is_draining))
        return;
    k->asked_ms = net_clock_steady();
    if (k->must_load) {
        load(k);
        return;
    }
    token_fetch_start(&k->fetch, &k->relay->loop, &k->place, &words, granted,
                      k);
}

static void
time_is_up(void *ctx)
{
    ask(ctx);
}

/* --- the beginning --- */

static bool
work_load(struct store_call *call, struct queue_store *store, struct err *err)
{
    struct load_call *x = own_container(call, struct load_call, call);

    buf_clear(&x->text);
    return queue_store_shelf_get(store, TOKEN_KEEPER_SHELF, x->route, &x->text,
                                 err);
}

/* What is damaged, or of other settings, is as good as nothing.  What can't be
 * read now is not: the refresh token that was given last is in it, and the one
 * before may be worth nothing any more. */
static void
use_kept(struct token_keeper *k, struct slice text)
{
    struct token_shelf kept scoped(token_shelf_done) = {0};
    struct err err;

    if (!token_shelf_parse(text, &kept, &err) ||
        strcmp(kept.source, k->token.source) != 0)
        return;
    token_shelf_done(&k->token);
    k->token = kept;
    kept = (struct token_shelf){0};
}

static void
loaded(struct task *task)
{
    struct load_call *x = own_container(task, struct load_call, call.task);
    struct token_keeper *k = x->keeper;
    bool is_lost = x->call.failed && x->call.err.kind != ERR_MISSING;
    struct err err = x->call.err;

    if (k) {
        k->load = NULL;
        k->must_load = is_lost;
        if (!x->call.failed && x->text.len > 0)
            use_kept(k, buf_slice(&x->text));
    }
    secret_buf_free(&x->text);
    free(x->route);
    free(x);
    if (!k)
        return;
    if (is_lost) {
        failed(k, &err);
    } else if (is_alive(k)) {
        set_renewal(k);
        k->changed(k->ctx);
    } else {
        ask(k);
    }
}

static void
load(struct token_keeper *k)
{
    struct load_call *x = mem_new(struct load_call);

    x->keeper = k;
    x->route = mem_text(k->route);
    x->call.work = work_load;
    x->call.task.run = loaded;
    x->call.home = &k->relay->inbox;
    k->load = x;
    store_thread_post(k->relay->store, &x->call);
}

struct token_keeper *
token_keeper_new(struct relay *relay, const char *route,
                 const struct token_fetch_place *place,
                 const struct token_grant_ask *words, token_keeper_fn *changed,
                 void *ctx)
{
    struct token_keeper *k = mem_new(struct token_keeper);

    k->relay = relay;
    k->changed = changed;
    k->ctx = ctx;
    k->route = mem_text(route);
    k->host = mem_text(place->host);
    k->path = mem_text(place->path);
    k->place = *place;
    k->place.host = k->host;
    k->place.path = k->path;
    k->client_id = mem_text(words->client_id);
    k->client_secret = mem_text(words->client_secret);
    k->first_refresh = mem_text(words->refresh_token);
    k->scope = mem_text(words->scope);
    k->again_ms = TOKEN_KEEPER_AGAIN_MS;
    k->timer = net_timer_new(&relay->loop, time_is_up, k);
    token_shelf_source(place, words, k->token.source);
    load(k);
    return k;
}

void
token_keeper_free(struct token_keeper **place)
{
    struct token_keeper *k = take(place);

    if (!k)
        return;
    if (k->load)
        k->load->keeper = NULL;
    token_fetch_cancel(&k->fetch);
    net_timer_free(&k->timer);
    net_tls_free(&k->place.tls);
    token_shelf_done(&k->token);
    secret_text_free(&k->client_secret);
    secret_text_free(&k->first_refresh);
    free(k->client_id);
    free(k->scope);
    free(k->route);
    free(k->host);
    free(k->path);
    free(k);
}

/* --- questions --- */

enum token_keeper_state
token_keeper_state(const struct token_keeper *k)
{
    if (is_alive(k))
        return TOKEN_KEEPER_GOOD;
    return k->fetch || k->load || !k->is_failed ? TOKEN_KEEPER_WAITS
                                                : TOKEN_KEEPER_FAILED;
}

const char *
token_keeper_token(const struct token_keeper *k)
{
    return k->token.access;
}

const char *
token_keeper_why(const struct token_keeper *k)
{
    return k->err.text;
}

int64_t
token_keeper_expires_ms(const struct token_keeper *k)
{
    return k->token.access ? k->token.expires_ms : 0;
}

void
token_keeper_reject(struct token_keeper *k, bool at_once)
{
    secret_text_free(&k->token.access);
    k->token.obtained_ms = k->token.expires_ms = 0;
    save(k);
    if (at_once) {
        ask(k);
        return;
    }
    k->is_failed = true;
    net_timer_stop(k->timer);
    err_set(&k->err, ERR_INPUT, "two in a row were not accepted");
}

void
token_keeper_retry(struct token_keeper *k)
{
    if (net_clock_steady() - k->asked_ms >= LEAST_MS)
        ask(k);
}
