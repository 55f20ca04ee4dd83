#include "policy/access.h"

#include <strings.h>

static bool
is_listed_network(const struct policy_access_rules *r, const struct addr *peer)
{
    for (size_t i = 0; i < r->network_count; i++) {
        if (addr_is_in(peer, &r->networks[i]))
            return true;
    }
    return false;
}

static bool
may_relay(const struct policy_access_rules *r,
          const struct policy_access_client *client, struct mail_status *why)
{
    bool is_local = client->peer->any.sa_family == AF_UNSPEC;
    char text[ADDR_TEXT_SIZE];

    if (client->user || client->has_certificate)
        return true;
    if (client->auth != POLICY_ACCESS_AUTH_REQUIRED &&
        (is_local || is_listed_network(r, client->peer)))
        return true;
    if (client->auth == POLICY_ACCESS_AUTH_OFF)
        mail_status_set(why, 554, "5.7.1", "%s may not relay here%s (%s)",
                        addr_text(client->peer, text),
                        client->may_show_one ? " without a certificate" : "",
                        client->may_show_one ? "tls.client_ca"
                                             : "access.networks");
    else /* RFC 4954 section 6 */
        mail_status_set(why, 530, "5.7.0",
                        "authentication required: %s a name and a password",
                        client->needs_tls ? "turn on STARTTLS, then set"
                                          : "set");
    return false;
}

static bool
is_sender(const char *pattern, const struct mail_address *from)
{
    const char *at = strrchr(pattern, '@');
    struct slice local = {from->text, from->at};

    if (!from->text[0])
        return strcmp(pattern, "<>") == 0;
    if (strcmp(pattern, "*") == 0)
        return true;
    if (!at)
        return false;
    if (at == pattern)
        return strcasecmp(at + 1, from->domain.text) == 0;
    if (from->is_literal)
        return strcasecmp(pattern, from->text) == 0;
    return local.len == (size_t)(at - pattern) &&
           strncasecmp(pattern, local.p, local.len) == 0 &&
           strcasecmp(at + 1, from->domain.text) == 0;
}

static bool
has_sender(const struct policy_access_user *user,
           const struct mail_address *from)
{
    if (user->sender_count == 0 && from->text[0])
        return true;
    for (size_t i = 0; i < user->sender_count; i++) {
        if (is_sender(user->senders[i], from))
            return true;
    }
    return false;
}

static bool
is_own_sender(const struct policy_access_user *user,
              const struct mail_address *from, struct mail_status *why)
{
    if (has_sender(user, from))
        return true;
    mail_status_set(why, 553, "5.7.1",
                    "this login may not send from %s (sealpost user list)",
                    from->text[0] ? from->text : "<>");
    return false;
}

/* An empty list allows everything.  The domain of an address literal is "",
 * which no list holds. */
static bool
is_listed_domain(const char *const *domains, size_t count, const char *domain)
{
    for (size_t i = 0; i < count; i++) {
        if (strcasecmp(domains[i], domain) == 0)
            return true;
    }
    return count == 0;
}

static bool
may_send_from(const struct policy_access_rules *r,
              const struct mail_address *from, struct mail_status *why)
{
    if (!from->text[0] ||
        is_listed_domain(r->sender_domains, r->sender_domain_count,
                         from->domain.text))
        return true;
    mail_status_set(why, 550, "5.7.1",
                    "mail from %s may not be sent here "
                    "(access.sender_domains)",
                    from->text + from->at + 1);
    return false;
}

static bool
may_send_to(const struct policy_access_rules *r, const struct mail_address *to,
            struct mail_status *why)
{
    if (is_listed_domain(r->recipient_domains, r->recipient_domain_count,
                         to->domain.text))
        return true;
    mail_status_set(why, 550, "5.7.1",
                    "mail to %s may not be sent from here "
                    "(access.recipient_domains)",
                    to->text + to->at + 1);
    return false;
}

bool
policy_access(const struct policy_access_rules *r,
              const struct policy_access_client *client,
              const struct mail_address *from, const struct mail_address *to,
              struct mail_status *why)
{
    return may_relay(r, client, why) &&
           (!client->user || is_own_sender(client->user, from, why)) &&
           may_send_from(r, from, why) && (!to || may_send_to(r, to, why));
}

bool
policy_access_is_limited(const struct policy_access_user *user)
{
    for (size_t i = 0; i < user->sender_count; i++)
        if (strcmp(user->senders[i], "*") == 0)
            return false;
    return user->sender_count > 0;
}

bool
policy_access_author(const struct policy_access_user *user,
                     const struct mail_address *author, struct mail_status *why)
{
    if (has_sender(user, author))
        return true;
    mail_status_set(why, 550, "5.7.1",
                    "this login may not send mail whose From is %s "
                    "(sealpost user list)",
                    author->text);
    return false;
}
