#include "relay/daemon/login.h"

#include "relay/base/base64.h"
#include "relay/base/mem.h"
#include "relay/base/secret.h"
#include "relay/daemon/login_desk.h"
#include "relay/daemon/user_book.h"

#include <openssl/rand.h>
#include <stdlib.h>

struct login {
    uint64_t sid;
    struct worker *worker;
    struct login **slot;
    login_fn *done;
    void *ctx;
    struct addr peer;
    char *peer_text, *listener, *user, *hash;
    const char *mechanism;
    bool is_tls;
    bool is_known; /* there is such a user, and he may log in */
    struct buf password;
    struct hasher_job *job;
    struct net_timer *delay;
    struct mail_status status; /* while it is delayed */
};

/* --- what came of it --- */

static void
say(const struct relay *relay, const struct login_ask *ask, bool is_ok,
    const char *why)
{
    struct log_line line;

    log_begin(&line, relay->log, LOG_LEVEL_INFO, "session.auth");
    log_id(&line, "sid", ask->sid);
    log_text(&line, "client_ip", ask->peer_text);
    log_text(&line, "listener", ask->listener);
    log_text(&line, "user", ask->auth->user);
    log_text(&line, "mechanism", ask->auth->mechanism);
    log_bool(&line, "tls", ask->is_tls);
    log_bool(&line, "ok", is_ok);
    if (why)
        log_text(&line, "reason", why);
    log_end(&line);
    metrics_count(relay->metrics, METRICS_LOGINS, is_ok ? "ok" : "refused",
                  ask->listener);
    if (!is_ok)
        metrics_count(relay->metrics, METRICS_AUTH_FAILURES, ask->listener);
}

/* All refusals of a user look the same: RFC 4954 section 6. */
static void
refuse(struct mail_status *status)
{
    mail_status_set(status, 535, "5.7.8",
                    "authentication failed: wrong name or password");
}

static void
welcome(struct mail_status *status)
{
    mail_status_set(status, 235, "2.7.0", "authenticated");
}

static bool
may_try(struct relay *relay, const struct login_ask *ask,
        struct mail_status *status)
{
    unsigned wait = guesses_wait(relay->login_desk->guesses, ask->peer,
                                 ask->auth->user, net_clock_steady());

    if (wait == 0)
        return true;
    say(relay, ask, false, "too many failed logins");
    mail_status_set(status, 421, "4.7.0",
                    "too many failed logins, try again in %u s", wait);
    return false;
}

static struct users *
get_users(struct relay *relay, const struct login_ask *ask,
          struct mail_status *status)
{
    struct users *users = user_book_get(relay->user_book);

    if (users)
        return users;
    say(relay, ask, false, "the users file can't be read");
    mail_status_set(status, 454, "4.7.0", "nobody can log in now (users.file)");
    return NULL;
}

/* --- one attempt --- */

static void
free_login(struct login *l)
{
    net_timer_free(&l->delay);
    secret_buf_free(&l->password);
    secret_text_free(&l->hash);
    free(l->peer_text);
    free(l->listener);
    free(l->user);
    free(l);
}

/* The end: nothing of it is left when `done` runs. */
static void
give_answer(struct login *l)
{
    struct mail_status status = l->status;
    login_fn *done = l->done;
    void *ctx = l->ctx;

    *l->slot = NULL;
    free_login(l);
    done(ctx, &status);
}

static void
delay_is_over(void *ctx)
{
    give_answer(ctx);
}

static void
fail_later(struct login *l, unsigned delay_ms)
{
    refuse(&l->status);
    l->delay = net_timer_new(&l->worker->loop, delay_is_over, l);
    net_timer_set(l->delay, delay_ms);
}

static unsigned
count_failure(const struct login *l)
{
    return guesses_failed(l->worker->relay->login_desk->guesses, &l->peer,
                          l->user, net_clock_steady());
}

static void
pass(struct relay *relay, const struct login_ask *ask)
{
    guesses_passed(relay->login_desk->guesses, ask->peer, ask->auth->user,
                   net_clock_steady());
    say(relay, ask, true, NULL);
}

static struct login_ask
ask_of(const struct login *l, const struct smtp_server_auth *auth)
{
    return (struct login_ask){.sid = l->sid,
                              .peer = &l->peer,
                              .peer_text = l->peer_text,
                              .listener = l->listener,
                              .is_tls = l->is_tls,
                              .auth = auth};
}

static void
hashed(void *ctx, bool is_match)
{
    struct login *l = ctx;
    struct relay *relay = l->worker->relay;
    const struct smtp_server_auth auth = {.user = l->user,
                                          .mechanism = l->mechanism};
    struct login_ask ask = ask_of(l, &auth);
    unsigned delay_ms;

    if (is_match && l->is_known) {
        login_cache_put(relay->login_desk->cache, l->user,
                        buf_slice(&l->password), l->hash, net_clock_steady());
        pass(relay, &ask);
        welcome(&l->status);
        give_answer(l);
        return;
    }
    say(relay, &ask, false,
        l->is_known ? "wrong password" : "no such user, or locked");
    delay_ms = count_failure(l);
    if (delay_ms > 0) {
        fail_later(l, delay_ms);
        return;
    }
    refuse(&l->status);
    give_answer(l);
}

static struct login *
new_login(struct worker *w, const struct login_ask *ask, login_fn *done,
          void *ctx)
{
    struct login *l = mem_new(struct login);

    l->worker = w;
    l->done = done;
    l->ctx = ctx;
    l->sid = ask->sid;
    l->peer = *ask->peer;
    l->peer_text = mem_text(ask->peer_text);
    l->listener = mem_text(ask->listener);
    l->user = mem_text(ask->auth->user);
    l->mechanism = ask->auth->mechanism;
    l->is_tls = ask->is_tls;
    (void)buf_room(&l->password, ask->auth->password.len + 1);
    buf_add(&l->password, ask->auth->password);
    return l;
}

/* What was refused before a password could be right or wrong.  True: now. */
static bool
fail(struct login **slot, struct worker *w, const struct login_ask *ask,
     struct mail_status *status, login_fn *done, void *ctx)
{
    struct login *l = new_login(w, ask, done, ctx);
    unsigned delay_ms = count_failure(l);

    if (delay_ms > 0) {
        *slot = l;
        l->slot = slot;
        fail_later(l, delay_ms);
        return false;
    }
    free_login(l);
    refuse(status);
    return true;
}

static bool
start_hash(struct login **slot, struct worker *w, const struct login_ask *ask,
           const struct users *users, struct mail_status *status,
           login_fn *done, void *ctx)
{
    struct relay *relay = w->relay;
    const struct user *user = users_find(users, ask->auth->user);
    bool is_known = user && user->hash[0];
    const char *hash = is_known ? user->hash : users_decoy_hash(users);
    struct login *l;

    if (is_known &&
        login_cache_has(relay->login_desk->cache, user->name,
                        ask->auth->password, hash, net_clock_steady())) {
        pass(relay, ask);
        welcome(status);
        return true;
    }
    l = new_login(w, ask, done, ctx);
    l->is_known = is_known;
    l->hash = mem_text(hash);
    if (!hasher_start(&l->job, relay->login_desk->hasher, w,
                      ask->auth->password, hash, hashed, l)) {
        free_login(l);
        say(relay, ask, false, "too many logins at once");
        mail_status_set(status, 454, "4.7.0", "too many logins, try again");
        return true;
    }
    *slot = l;
    l->slot = slot;
    return false;
}

bool
login_start(struct login **slot, struct worker *w, const struct login_ask *ask,
            struct mail_status *status, login_fn *done, void *ctx)
{
    struct relay *relay = w->relay;
    scoped(users_drop) struct users *users = NULL;

    if (!may_try(relay, ask, status))
        return true;
    users = get_users(relay, ask, status);
    if (!users)
        return true;
    if (ask->auth->is_proven) { /* a decoy can't be proven */
        pass(relay, ask);
        welcome(status);
        return true;
    }
    if (ask->auth->password.len > 0 && !ask->auth->why)
        return start_hash(slot, w, ask, users, status, done, ctx);
    say(relay, ask, false,
        ask->auth->why ? ask->auth->why : "wrong password, or no such user");
    return fail(slot, w, ask, status, done, ctx);
}

void
login_cancel(struct login **slot)
{
    struct login *l = take(slot);

    if (!l)
        return;
    hasher_cancel(&l->job);
    free_login(l);
}

bool
login_verifier(struct worker *w, const struct login_ask *ask,
               struct smtp_sasl_verifier *out, char nonce[LOGIN_NONCE_SIZE],
               struct mail_status *status)
{
    struct relay *relay = w->relay;
    scoped(users_drop) struct users *users = NULL;
    scoped(buf_free) struct buf text = {0};
    const struct user *user;
    char octets[(LOGIN_NONCE_SIZE - 1) / 4 * 3];

    if (!may_try(relay, ask, status))
        return false;
    users = get_users(relay, ask, status);
    if (!users)
        return false;
    login_desk_decoy(relay->login_desk, users, ask->auth->user, out);
    user = users_find(users, ask->auth->user);
    if (user && user->has_verifier)
        *out = user->verifier;
    if (RAND_bytes((unsigned char *)octets, sizeof(octets)) != 1)
        abort(); /* a nonce that can be guessed is worse than none */
    base64_add((struct slice){octets, sizeof(octets)}, &text);
    (void)snprintf(nonce, LOGIN_NONCE_SIZE, "%s", buf_text(&text));
    return true;
}

unsigned
login_mechanisms(struct relay *relay)
{
    scoped(users_drop) struct users *users = user_book_get(relay->user_book);
    unsigned all = SMTP_SASL_SERVER_ALL;

    if (users && !users_have_verifiers(users))
        all &= ~SMTP_SASL_BIT(SMTP_SASL_SCRAM_SHA_256);
    return all;
}
