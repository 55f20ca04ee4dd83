#include "relay/daemon/receive_inside.h"
#include "relay/guard/quota.h"

static struct quota_limits
limits_of(const struct receive *r)
{
    const struct config_listener *l =
        config_listener_find(r->worker->config, r->pass.listener);

    if (!l) /* it is closed, and nothing more is taken */
        return (struct quota_limits){0};
    return (struct quota_limits){.messages = l->rate,
                                 .recipients = l->rcpt_rate};
}

static struct quota_sender
sender_of(const struct receive *r)
{
    return (struct quota_sender){.user = smtp_server_user(r->smtp),
                                 .peer = &r->peer};
}

static bool
is_within(unsigned wait_s, bool is_of_recipients, struct mail_status *why)
{
    if (wait_s == 0)
        return true;
    if (is_of_recipients)
        mail_status_set(why, 452, "4.7.1",
                        "too many recipients for now (recipients_rate), "
                        "try again in %u s",
                        wait_s);
    else
        mail_status_set(why, 450, "4.7.1",
                        "too many messages for now (rate), try again in %u s",
                        wait_s);
    return false;
}

bool
receive_may_more(const struct receive *r, size_t recipients,
                 struct mail_status *why)
{
    struct quota_limits limits = limits_of(r);
    struct quota_sender sender = sender_of(r);
    bool is_of_recipients;
    unsigned wait_s =
        quota_wait(r->worker->relay->quota, &limits, &sender, recipients,
                   net_clock_steady(), &is_of_recipients);

    return is_within(wait_s, is_of_recipients, why);
}

bool
receive_count(struct receive *r, struct mail_status *why)
{
    struct quota_limits limits = limits_of(r);
    struct quota_sender sender = sender_of(r);
    size_t recipients = smtp_server_envelope(r->smtp)->rcpt_count;
    bool is_of_recipients;
    unsigned wait_s =
        quota_take(r->worker->relay->quota, &limits, &sender, recipients,
                   net_clock_steady(), &is_of_recipients);

    if (!is_within(wait_s, is_of_recipients, why))
        return false;
    r->counted = recipients;
    return true;
}

void
receive_uncount(struct receive *r)
{
    struct quota_sender sender = sender_of(r);

    if (r->counted > 0)
        quota_give_back(r->worker->relay->quota, &sender, r->counted);
    r->counted = 0;
}
