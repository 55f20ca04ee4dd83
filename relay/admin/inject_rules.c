#include "policy/access.h"
#include "relay/admin/guard.h"
#include "relay/admin/inject_inside.h"
#include "relay/base/mem.h"
#include "relay/guard/quota.h"
#include "relay/net/timer.h"
bool
admin_inject_is_able(const struct inject *x, struct mail_status *why)
{
    const struct relay *relay = x->relay;

    if (relay->worker_count == 0 || atomic_load(&relay->is_draining))
        mail_status_set(why, 451, "4.3.2", "the relay takes no more mail");
    else if (!atomic_load(&relay->store_is_healthy))
        mail_status_set(why, 452, "4.3.1", "the queue can't be written to now");
    else if (!store_thread_has_room(relay->store))
        mail_status_set(why, 452, "4.3.1", "the disk is nearly full");
    else
        return true;
    return false;
}

/* Who brings the token, or comes by the control socket, is trusted like a
 * program on this machine that has a Unix socket to send by. */
static struct addr
client_of(const struct inject *x)
{
    struct addr local = {.any.sa_family = AF_UNSPEC};

    return admin_guard_is_trusted(x->relay->config, x->request)
               ? local
               : *net_http_peer(x->request);
}

static bool
may_send(const struct inject *x, const struct addr *peer,
         struct mail_status *why)
{
    const struct config *c = x->relay->config;
    const struct mail_envelope *e = &x->envelope;
    struct policy_access_client client = {.peer = peer};
    struct policy_access_rules rules = {
        .networks = c->access.networks.net,
        .network_count = c->access.networks.count,
        .sender_domains = c->access.sender_domains.text,
        .sender_domain_count = c->access.sender_domains.count,
        .recipient_domains = c->access.recipient_domains.text,
        .recipient_domain_count = c->access.recipient_domains.count,
    };
    struct mail_address from = {0}, to;
    struct err err;

    if (e->rcpt_count > c->access.rcpt_max) {
        mail_status_set(why, 554, "5.5.3", "more than %u recipients",
                        c->access.rcpt_max);
        return false;
    }
    if (e->from[0])
        (void)!mail_address_parse(slice_of(e->from), true, &from, &err);
    for (size_t i = 0; i < e->rcpt_count; i++)
        if (!mail_address_parse(slice_of(e->rcpt[i].address), true, &to,
                                &err) ||
            !policy_access(&rules, &client, &from, &to, why))
            return false;
    return true;
}

static bool
count(struct inject *x, const struct addr *peer, struct mail_status *why)
{
    const struct config *c = x->relay->config;
    struct quota_limits limits = {.messages = c->access.rate,
                                  .recipients = c->access.rcpt_rate};
    struct quota_sender sender = {.peer = peer};
    bool is_of_recipients;
    unsigned wait_s =
        quota_take(x->relay->quota, &limits, &sender, x->envelope.rcpt_count,
                   net_clock_steady(), &is_of_recipients);

    if (wait_s == 0) {
        x->counted = x->envelope.rcpt_count;
        return true;
    }
    x->wait_s = wait_s;
    mail_status_set(why, 450, "4.7.1", "too many %s for now, try again in %u s",
                    is_of_recipients ? "recipients" : "messages", wait_s);
    return false;
}

static void
tell_log(const struct inject *x, const struct addr *peer,
         const struct mail_status *why)
{
    char ip[ADDR_TEXT_SIZE], enhanced[16];
    struct log_line line;

    log_begin(&line, x->relay->log, LOG_LEVEL_INFO, "session.reject");
    if (peer->any.sa_family != AF_UNSPEC)
        log_text(&line, "client_ip", addr_text(peer, ip));
    log_text(&line, "source", "http");
    log_address(&line, "address", x->envelope.from);
    log_int(&line, "code", why->code);
    log_text(&line, "dsn", mail_status_enhanced(why, enhanced));
    log_text(&line, "reason", why->text);
    log_end(&line);
    metrics_refuse(x->relay->metrics, why);
}

bool
admin_inject_may(struct inject *x, struct mail_status *why)
{
    struct addr peer = client_of(x);

    if (may_send(x, &peer, why) && count(x, &peer, why))
        return true;
    tell_log(x, net_http_peer(x->request), why);
    return false;
}

void
admin_inject_uncount(struct inject *x)
{
    struct addr peer = client_of(x);
    struct quota_sender sender = {.peer = &peer};

    if (x->counted > 0)
        quota_give_back(x->relay->quota, &sender, x->counted);
    x->counted = 0;
}

/* Whose fault it is decides; what the client should do about it is the rest. */
int
admin_inject_status(const struct mail_status *status)
{
    if (mail_status_is_success(status))
        return 202;
    if (status->code == 450)
        return 429;
    if (mail_status_is_transient(status))
        return 503;
    if (status->subject == 3 && status->detail == 4)
        return 413;
    return status->subject == 7 ? 403 : 422;
}
