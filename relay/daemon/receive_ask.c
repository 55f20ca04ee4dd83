#include "policy/access.h"
#include "relay/daemon/intake.h"
#include "relay/daemon/receive_inside.h"

void
receive_log_reject(struct receive *r, const struct mail_status *status,
                   const struct mail_address *address)
{
    struct log_line line;
    char enhanced[16];

    log_begin(&line, r->worker->relay->log, LOG_LEVEL_INFO, "session.reject");
    log_id(&line, "sid", r->sid);
    log_text(&line, "listener", r->pass.listener);
    log_text(&line, "client_ip", r->peer_text);
    if (address)
        log_address(&line, "address", address->text);
    log_int(&line, "code", status->code);
    log_text(&line, "dsn", mail_status_enhanced(status, enhanced));
    log_text(&line, "reason", status->text);
    log_end(&line);
    metrics_refuse(r->worker->relay->metrics, status);
}

static void
answer(struct receive *r, bool allowed, struct mail_status *status,
       const char *enhanced, const struct mail_address *address)
{
    if (allowed)
        mail_status_set(status, 250, enhanced, "ok");
    else
        receive_log_reject(r, status, address);
    smtp_server_answer(r->smtp, status);
}

/* What the listener says now; NULL when a reload has taken it away. */
static const struct config_listener *
listener_of(const struct receive *r)
{
    return config_listener_find(r->worker->config, r->pass.listener);
}

static struct policy_access_rules
rules(const struct receive *r)
{
    const struct config *c = r->worker->config;
    const struct config_listener *l = listener_of(r);

    if (!l)
        return (struct policy_access_rules){0};
    return (struct policy_access_rules){
        .networks = c->access.networks.net,
        .network_count = c->access.networks.count,
        .sender_domains = l->sender_domains.text,
        .sender_domain_count = l->sender_domains.count,
        .recipient_domains = l->recipient_domains.text,
        .recipient_domain_count = l->recipient_domains.count,
    };
}

static bool
is_open(const struct receive *r, struct mail_status *why)
{
    if (listener_of(r))
        return true;
    mail_status_set(why, 451, "4.3.2", "this listener is closed");
    return false;
}

static bool
is_able(const struct receive *r, struct mail_status *why)
{
    const struct relay *relay = r->worker->relay;
    bool is_healthy = atomic_load(&relay->store_is_healthy);

    if (is_healthy && store_thread_has_room(relay->store))
        return true;
    mail_status_set(why, 452, "4.3.1",
                    is_healthy ? "the disk is nearly full"
                               : "the queue can't be written to now");
    return false;
}

static bool
may_send(const struct receive *r, const struct mail_address *to,
         struct mail_status *why)
{
    struct policy_access_rules may = rules(r);
    struct policy_access_client client = {
        .peer = &r->peer,
        .has_certificate = receive_has_certificate(r),
        .may_show_one = receive_wants_certificate(r),
        .needs_tls = receive_needs_tls(r)};
    scoped(users_drop) struct users *users = NULL;
    const struct user *user;

    if (!is_open(r, why) || !receive_find_user(r, &users, &user, why))
        return false;
    client.auth = listener_of(r)->auth;
    client.user = user ? &user->access : NULL;
    return policy_access(&may, &client, &r->from, to, why);
}

void
receive_on_mail(struct receive *r, const struct smtp_server_event *ev)
{
    struct mail_status status = {0};
    bool ok;

    r->from = *ev->address;
    ok = is_able(r, &status) && may_send(r, NULL, &status) &&
         receive_may_more(r, 0, &status);
    answer(r, ok, &status, "2.1.0", ev->address);
}

void
receive_on_rcpt(struct receive *r, const struct smtp_server_event *ev)
{
    struct mail_status status = {0};
    size_t rcpts = smtp_server_envelope(r->smtp)->rcpt_count;
    bool ok = may_send(r, ev->address, &status) &&
              receive_may_more(r, rcpts + 1, &status);

    answer(r, ok, &status, "2.1.5", ev->address);
}

void
receive_on_data(struct receive *r)
{
    struct mail_status status = {0};
    struct intake_client client = {
        .sid = r->sid,
        .ip = r->peer.any.sa_family == AF_UNSPEC ? NULL : r->peer_text,
        .source = r->pass.listener,
        .helo = smtp_server_helo(r->smtp),
        .is_esmtp = smtp_server_is_esmtp(r->smtp),
        .tls = net_conn_tls(r->conn),
        .has_certificate = receive_has_certificate(r),
        .user = smtp_server_user(r->smtp),
    };

    if (is_able(r, &status) && receive_count(r, &status)) {
        mail_status_set(&status, 250, "2.0.0", "go on");
        intake_abandon(&r->intake);
        r->intake =
            intake_new(r->worker, &client, smtp_server_envelope(r->smtp));
    } else {
        receive_log_reject(r, &status, NULL);
    }
    smtp_server_answer(r->smtp, &status);
}
