#include "relay/daemon/account.h"

#include "relay/base/mem.h"
#include "relay/base/secret.h"
#include "relay/config/check.h"
#include "relay/daemon/dispatch.h"
#include "relay/daemon/dnssec.h"
#include "relay/daemon/router.h"
#include "relay/daemon/token_keeper.h"
#include "relay/daemon/token_sweep.h"
#include "relay/net/watch.h"

#include <stdlib.h>

enum { WATCHES_MAX = 3 };

struct parked {
    struct parked *next;
    struct queue_order *order;
};

struct account {
    struct accounts *all;
    const struct config_route *route; /* of the configuration in force */
    char *destination;
    struct buf password;         /* or nothing: then */
    struct token_keeper *keeper; /* this one, unless a secret can't be read: */
    struct err err;
    uint64_t number; /* of the secret in force */
    char *refusal;   /* the provider does not take it; NULL: it does */
    bool is_renewed; /* a new token was fetched for that already */
    struct parked *parked;
    struct net_watch *watches[WATCHES_MAX];
};

struct accounts {
    struct relay *relay;
    struct account **list;
    size_t count;
    uint64_t last_number;
    struct net_dns *dns; /* NULL: no tokens are wanted */
    bool is_over;
};

static struct account *
find(const struct accounts *all, const char *destination)
{
    for (size_t i = 0; i < all->count; i++)
        if (strcmp(all->list[i]->destination, destination) == 0)
            return all->list[i];
    return NULL;
}

/* --- orders --- */

static enum account_state
state_of(const struct account *a)
{
    if (a->err.kind)
        return ACCOUNT_HELD;
    if (!a->keeper)
        return ACCOUNT_GOOD;
    switch (token_keeper_state(a->keeper)) {
    case TOKEN_KEEPER_WAITS:
        return ACCOUNT_WAITS;
    case TOKEN_KEEPER_GOOD:
        return ACCOUNT_GOOD;
    case TOKEN_KEEPER_FAILED:
        break;
    }
    return ACCOUNT_HELD;
}

static const char *
secret_of(struct account *a)
{
    return a->keeper ? token_keeper_token(a->keeper) : buf_text(&a->password);
}

static struct credential *
credential_of(struct account *a)
{
    return credential_new(a->route->mechanisms, a->route->user, secret_of(a),
                          a->number, a->all->relay->config->serial);
}

static void
park(struct account *a, struct queue_order *order)
{
    struct parked *p = mem_new(struct parked);

    p->order = order;
    p->next = a->parked;
    a->parked = p;
}

static char *
why_held(const struct account *a)
{
    return a->err.kind
               ? mem_printf("no credentials: %s", a->err.text)
               : mem_printf("no access token: %s", token_keeper_why(a->keeper));
}

static bool
admit(struct account *a, struct queue_order *order, struct credential **out)
{
    scoped(own_free) char *why = NULL;

    switch (state_of(a)) {
    case ACCOUNT_GOOD:
        *out = credential_of(a);
        return true;
    case ACCOUNT_WAITS:
        park(a, order);
        return false;
    case ACCOUNT_HELD:
        why = why_held(a);
        dispatch_hold(a->all->relay, order, why);
        break;
    }
    return false;
}

bool
accounts_admit(struct accounts *all, struct queue_order *order,
               struct credential **out)
{
    struct account *a = find(all, order->destination);

    *out = NULL;
    if (!a || all->is_over)
        return true;
    if (state_of(a) == ACCOUNT_HELD && a->keeper)
        token_keeper_retry(a->keeper); /* it is time for a probe */
    return admit(a, order, out);
}

/* Who waited for an answer has it, also where it is a refusal: a probe is for
 * the next order. */
static void
unpark(struct account *a)
{
    struct parked *p = take(&a->parked);

    while (p) {
        struct parked *next = p->next;
        struct queue_order *order = p->order;
        struct credential *credential;

        free(p);
        if (admit(a, order, &credential))
            dispatch_go(a->all->relay, order, credential);
        p = next;
    }
}

/* --- what was found out --- */

static void
changed(void *ctx)
{
    struct account *a = ctx;
    struct dispatch *dispatch = a->all->relay->dispatch;

    a->number = ++a->all->last_number;
    if (state_of(a) == ACCOUNT_GOOD) {
        own_free(&a->refusal);
        dispatch_unblock(dispatch, a->destination);
    }
    unpark(a);
}

void
accounts_reached(struct accounts *all, const char *destination)
{
    struct account *a = find(all, destination);

    if (!a)
        return;
    own_free(&a->refusal);
    a->is_renewed = false;
}

void
accounts_refused(struct accounts *all, const char *destination, uint64_t number,
                 const char *why)
{
    struct account *a = find(all, destination);
    bool is_first;

    if (!a || a->number != number)
        return; /* of before */
    is_first = !a->refusal && !a->is_renewed;
    free(a->refusal);
    a->refusal = mem_text(why);
    if (!a->keeper || token_keeper_state(a->keeper) != TOKEN_KEEPER_GOOD)
        return;
    a->is_renewed = true;
    /* The second new one in a row waits for the next probe. */
    token_keeper_reject(a->keeper, is_first);
}

/* --- secrets --- */

static void
free_secrets(struct account *a)
{
    token_keeper_free(&a->keeper);
    secret_buf_free(&a->password);
}

static bool
open_keeper(struct account *a, struct err *err)
{
    const struct config_oauth *o = &a->route->oauth;
    struct buf secret scoped(secret_buf_free) = {0};
    struct buf refresh scoped(secret_buf_free) = {0};
    struct token_fetch_place place = {
        .dns = a->all->dns,
        .host = o->host.name,
        .port = o->host.port,
        .path = o->path,
        .ipv6 = a->all->relay->config->delivery.ipv6,
    };
    struct token_grant_ask ask = {.client_id = o->client_id, .scope = o->scope};

    if (!config_route_secret(o->client_secret, o->client_secret_file, &secret,
                             err) ||
        !config_route_secret(o->refresh_token, o->refresh_token_file, &refresh,
                             err))
        return false;
    place.tls = net_tls_client(o->ca, err);
    if (!place.tls)
        return false;
    ask.client_secret = buf_text(&secret);
    ask.refresh_token = buf_text(&refresh);
    a->keeper = token_keeper_new(a->all->relay, a->route->name, &place, &ask,
                                 changed, a);
    return true;
}

static void
open_secrets(struct account *a)
{
    const struct config_route *r = a->route;
    struct err err;
    bool ok = r->oauth.token_url[0] != '\0'
                  ? open_keeper(a, &err)
                  : config_route_secret(r->password, r->password_file,
                                        &a->password, &err);

    a->err = ok ? (struct err){0} : err;
    a->number = ++a->all->last_number;
    own_free(&a->refusal);
    a->is_renewed = false;
}

static void
tell_of_change(const struct account *a)
{
    struct log_line line;

    log_begin(&line, a->all->relay->log,
              a->err.kind ? LOG_LEVEL_ERROR : LOG_LEVEL_INFO, "route.secret");
    log_text(&line, "route", a->route->name);
    log_text(&line, "result", a->err.kind ? "unreadable" : "read anew");
    log_text(&line, "reason", a->err.kind ? a->err.text : NULL);
    log_end(&line);
}

static void
file_changed(void *ctx)
{
    struct account *a = ctx;

    free_secrets(a);
    open_secrets(a);
    tell_of_change(a);
    unpark(a);
    if (state_of(a) != ACCOUNT_HELD)
        dispatch_unblock(a->all->relay->dispatch, a->destination);
}

static void
watch(struct account *a)
{
    const struct config_route *r = a->route;
    const char *const files[WATCHES_MAX] = {r->password_file,
                                            r->oauth.client_secret_file,
                                            r->oauth.refresh_token_file};

    for (size_t i = 0; i < WATCHES_MAX; i++)
        if (files[i][0] != '\0')
            a->watches[i] =
                net_watch_new(&a->all->relay->loop, files[i], file_changed, a);
}

/* --- all of them --- */

static void
add(struct accounts *all, const struct config_route *route)
{
    struct account *a = mem_new(struct account);

    all->list = mem_resized(all->list, all->count + 1, sizeof(all->list[0]));
    all->list[all->count++] = a;
    a->all = all;
    a->route = route;
    a->destination = mem_printf(ROUTER_PREFIX "%s", route->name);
    open_secrets(a);
    watch(a);
}

static void
free_account(struct account *a)
{
    for (size_t i = 0; i < WATCHES_MAX; i++)
        net_watch_free(&a->watches[i]);
    free_secrets(a);
    free(a->refusal);
    free(a->destination);
    free(a);
}

/* Where tokens come from is looked up like any other host. */
static void
open_dns(struct accounts *all)
{
    const struct config *c = all->relay->config;
    struct net_dns_config dns = dnssec_config(c, DNSSEC_OFF);
    struct log_line line;
    struct err err;

    all->dns = net_dns_new(&all->relay->loop, &dns, &err);
    if (all->dns)
        return;
    log_begin(&line, all->relay->log, LOG_LEVEL_ERROR, "oauth.token");
    log_text(&line, "result", "failed");
    log_text(&line, "reason", err.text);
    log_end(&line);
}

static bool
is_wanted(const struct config_route *r)
{
    return r->mechanisms != 0;
}

static void
open_all(struct accounts *all)
{
    const struct config *c = all->relay->config;

    token_sweep(all->relay);
    for (size_t i = 0; i < c->route_count && !all->dns; i++)
        if (c->route[i].oauth.token_url[0] != '\0')
            open_dns(all);
    for (size_t i = 0; i < c->route_count; i++)
        if (is_wanted(&c->route[i]))
            add(all, &c->route[i]);
}

/* Takes the orders that wait out of the accounts, which then go. */
static struct parked *
close_all(struct accounts *all)
{
    struct parked *parked = NULL;

    for (size_t i = 0; i < all->count; i++) {
        struct account *a = all->list[i];

        while (a->parked) {
            struct parked *p = a->parked;

            a->parked = p->next;
            p->next = parked;
            parked = p;
        }
        free_account(a);
    }
    own_free(&all->list);
    all->count = 0;
    net_dns_free(&all->dns);
    return parked;
}

static void
send_on(struct accounts *all, struct parked *parked)
{
    while (parked) {
        struct parked *next = parked->next;
        struct credential *credential;

        if (accounts_admit(all, parked->order, &credential))
            dispatch_go(all->relay, parked->order, credential);
        free(parked);
        parked = next;
    }
}

void
accounts_configure(struct accounts *all)
{
    struct parked *parked = close_all(all);

    if (!all->is_over)
        open_all(all);
    send_on(all, parked);
}

void
accounts_drain(struct accounts *all)
{
    struct parked *parked = close_all(all);

    all->is_over = true;
    send_on(all, parked);
}

struct accounts *
accounts_new(struct relay *relay)
{
    struct accounts *all = mem_new(struct accounts);

    all->relay = relay;
    open_all(all);
    return all;
}

void
accounts_free(struct accounts **place)
{
    struct accounts *all = take(place);

    if (!all)
        return;
    (void)close_all(all); /* drained: nobody waits any more */
    free(all);
}

void
accounts_each(const struct accounts *all, account_fn *row, void *ctx)
{
    for (size_t i = 0; i < all->count; i++) {
        const struct account *a = all->list[i];
        scoped(own_free) char *why = NULL;
        struct account_row r = {
            .route = a->route->name,
            .user = a->route->user,
            .state = a->refusal ? ACCOUNT_HELD : state_of(a),
            .has_token = a->route->oauth.token_url[0] != '\0',
            .expires_ms = a->keeper ? token_keeper_expires_ms(a->keeper) : 0,
        };

        if (state_of(a) == ACCOUNT_HELD)
            r.why = why = why_held(a);
        else if (a->refusal)
            r.why = a->refusal;
        else if (a->keeper && token_keeper_why(a->keeper)[0])
            r.why = token_keeper_why(a->keeper);
        row(ctx, &r);
    }
}

const char *
account_state_name(enum account_state state)
{
    static const char *const names[] = {[ACCOUNT_GOOD] = "good",
                                        [ACCOUNT_WAITS] = "waiting",
                                        [ACCOUNT_HELD] = "held"};

    return names[state];
}
