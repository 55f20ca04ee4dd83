#include "relay/base/mem.h"
#include "relay/config/check.h"
#include "relay/mail/sender_map.h"

static void
check_domain(struct config *c, struct config_errors *errs)
{
    struct mail_domain domain;
    struct err err;

    if (c->rewrite.from_domain[0] == '\0')
        return;
    if (mail_domain_parse(slice_of(c->rewrite.from_domain), &domain, &err))
        c->rewrite.from_domain = config_keep(c->origins, mem_text(domain.text));
    else
        config_check_blame(c, errs, "rewrite", "", "from_domain", err.text);
}

static void
read_senders(struct config *c, struct config_errors *errs)
{
    const char *path = c->rewrite.sender_map;
    struct buf text scoped(buf_free) = {0};
    char *why scoped(own_free) = NULL;
    struct err err;

    if (path[0] == '\0')
        return;
    if (config_read_text(path, MAIL_SENDER_MAP_MAX, &text, &err)) {
        c->rewrite.senders = mail_sender_map_parse(buf_slice(&text), &err);
        if (c->rewrite.senders)
            return;
        why = mem_printf("%s:%s", path, err.text);
    }
    config_check_blame(c, errs, "rewrite", "", "sender_map",
                       why ? why : err.text);
}

void
config_check_rewrite(struct config *c, struct config_errors *errs)
{
    check_domain(c, errs);
    read_senders(c, errs);
}
