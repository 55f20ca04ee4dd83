#include "policy/access.h"

#include <strings.h>

static bool
is_in_networks(const struct policy_access_rules *r, const struct addr *peer)
{
    for (size_t i = 0; i < r->network_count; i++) {
        if (addr_is_in(peer, &r->networks[i]))
            return true;
    }
    return false;
}

bool
policy_access_client(const struct policy_access_rules *r,
                     const struct addr *peer, struct mail_status *why)
{
    char text[ADDR_TEXT_SIZE];

    if (peer->any.sa_family == AF_UNSPEC || is_in_networks(r, peer))
        return true;
    mail_status_set(why, 554, "5.7.1",
                    "%s may not relay here (access.networks)",
                    addr_text(peer, text));
    return false;
}

/* An empty list allows everything.  The domain of an address literal is "",
 * which no list holds. */
static bool
is_listed(const char *const *domains, size_t count, const char *domain)
{
    for (size_t i = 0; i < count; i++) {
        if (strcasecmp(domains[i], domain) == 0)
            return true;
    }
    return count == 0;
}

bool
policy_access_sender(const struct policy_access_rules *r,
                     const struct mail_address *from, struct mail_status *why)
{
    if (!from->text[0] ||
        is_listed(r->sender_domains, r->sender_domain_count, from->domain.text))
        return true;
    mail_status_set(why, 550, "5.7.1",
                    "mail from %s may not be sent here "
                    "(access.sender_domains)",
                    from->text + from->at + 1);
    return false;
}

bool
policy_access_recipient(const struct policy_access_rules *r,
                        const struct mail_address *to, struct mail_status *why)
{
    if (is_listed(r->recipient_domains, r->recipient_domain_count,
                  to->domain.text))
        return true;
    mail_status_set(why, 550, "5.7.1",
                    "mail to %s may not be sent from here "
                    "(access.recipient_domains)",
                    to->text + to->at + 1);
    return false;
}
