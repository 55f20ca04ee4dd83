#include "relay/config/config.h"

#include "relay/mail/address.h"

#include <stdio.h>

struct form {
    char text[2 * MAIL_ADDRESS_MAX];
};

/* An envelope has a domain as it came; patterns have it in A-label form. */
static const char *
in_a_form(const char *address, struct form *out)
{
    struct mail_address a;
    struct err err;

    if (!mail_address_parse(slice_of(address), true, &a, &err) || a.is_ascii ||
        a.is_literal)
        return address;
    (void)snprintf(out->text, sizeof(out->text), "%.*s@%s", (int)a.at, a.text,
                   a.domain.text);
    return out->text;
}

static const char *
pattern_for(const struct config_texts *patterns, const char *address)
{
    const char *at = strrchr(address, '@');

    for (size_t i = 0; i < patterns->count; i++) {
        const char *p = patterns->text[i];

        if (strcmp(p, "*") == 0 ||
            (strcmp(p, "<>") == 0 && address[0] == '\0') ||
            (p[0] == '@' && at && slice_is_nocase(slice_of(at), p)) ||
            slice_is_nocase(slice_of(address), p))
            return p;
    }
    return NULL;
}

struct config_match
config_route_match(const struct config_route *r, const char *from,
                   const char *to)
{
    struct form sender, rcpt;

    return (struct config_match){
        .from = r->from.count == 0
                    ? ""
                    : pattern_for(&r->from, in_a_form(from, &sender)),
        .to = pattern_for(&r->to, in_a_form(to, &rcpt)),
    };
}

bool
config_webhook_wants(const struct config_webhook *w,
                     enum config_webhook_event event, const char *from,
                     const char *to)
{
    struct form sender, rcpt;

    return (w->events & event) != 0 &&
           (w->from.count == 0 ||
            pattern_for(&w->from, in_a_form(from, &sender))) &&
           (w->to.count == 0 || pattern_for(&w->to, in_a_form(to, &rcpt)));
}

const struct config_route *
config_route_for(const struct config *c, const char *from, const char *to)
{
    for (size_t i = 0; i < c->route_count; i++) {
        struct config_match m = config_route_match(&c->route[i], from, to);

        if (m.from && m.to)
            return &c->route[i];
    }
    return NULL;
}
