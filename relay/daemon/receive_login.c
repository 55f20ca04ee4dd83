#include "relay/daemon/login.h"
#include "relay/daemon/receive_inside.h"
#include "relay/daemon/user_book.h"

static struct login_ask
ask_of(const struct receive *r, const struct smtp_server_event *ev)
{
    return (struct login_ask){.sid = r->sid,
                              .peer = &r->peer,
                              .peer_text = r->peer_text,
                              .listener = r->pass.listener,
                              .is_tls = net_conn_tls(r->conn) != NULL,
                              .auth = &ev->auth};
}

static void
logged_in(void *ctx, const struct mail_status *status)
{
    struct receive *r = ctx;

    smtp_server_answer(r->smtp, status);
    receive_resume(r);
}

void
receive_on_auth(struct receive *r, const struct smtp_server_event *ev)
{
    struct login_ask ask = ask_of(r, ev);
    struct mail_status status = {0};

    if (login_start(&r->login, r->worker, &ask, &status, logged_in, r))
        smtp_server_answer(r->smtp, &status);
}

void
receive_on_verifier(struct receive *r, const struct smtp_server_event *ev)
{
    struct login_ask ask = ask_of(r, ev);
    struct smtp_sasl_verifier verifier;
    char nonce[LOGIN_NONCE_SIZE];
    struct mail_status status = {0};

    if (login_verifier(r->worker, &ask, &verifier, nonce, &status))
        smtp_server_verify(r->smtp, &verifier, nonce);
    else
        smtp_server_answer(r->smtp, &status);
}

void
receive_offer_auth(const struct receive *r, const struct config_listener *l,
                   struct smtp_server_config *config)
{
    if (l->auth == POLICY_ACCESS_AUTH_OFF)
        return;
    config->auth = login_mechanisms(r->worker->relay);
    /* Nobody listens in on a Unix socket. */
    config->auth_in_clear =
        l->auth_in_clear || r->peer.any.sa_family == AF_UNSPEC;
}

bool
receive_needs_tls(const struct receive *r)
{
    const struct config_listener *l =
        config_listener_find(r->worker->config, r->pass.listener);

    return l && !l->auth_in_clear && !net_conn_tls(r->conn) &&
           r->peer.any.sa_family != AF_UNSPEC;
}

_Static_assert((int)SMTP_SASL_BINDING == (int)NET_TLS_BINDING_LEN,
               "one binding, one length");

void
receive_bind(struct receive *r)
{
    uint8_t binding[SMTP_SASL_BINDING];

    if (net_conn_binding(r->conn, binding))
        smtp_server_bind(r->smtp, binding);
}

bool
receive_find_user(const struct receive *r, struct users **users,
                  const struct user **user, struct mail_status *why)
{
    const char *name = smtp_server_user(r->smtp);

    *user = NULL;
    if (!name)
        return true;
    *users = user_book_get(r->worker->relay->user_book);
    if (!*users) {
        mail_status_set(why, 451, "4.3.0", "users can't be looked up now");
        return false;
    }
    *user = users_find(*users, name);
    if (*user && !(*user)->hash[0])
        *user = NULL; /* locked since */
    return true;
}
